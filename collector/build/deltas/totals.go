package deltas

import (
	"slices"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// total is what a series has counted since its sender began.
type total interface {
	sum() float64
	// fell: less than before in any part, which only happens when a sender begins anew.
	fell(before total) bool
	minus(before total) total
	write(to dataPoint)
}

type number struct {
	whole int64
	real  float64
}

func numberOf(p pmetric.NumberDataPoint) total { return number{p.IntValue(), p.DoubleValue()} }

func (n number) sum() float64 { return n.real }

func (n number) fell(before total) bool {
	return n.whole < before.(number).whole || n.real < before.(number).real
}

func (n number) minus(before total) total {
	return number{n.whole - before.(number).whole, n.real - before.(number).real}
}

func (n number) write(to dataPoint) {
	if p := to.(pmetric.NumberDataPoint); p.ValueType() == pmetric.NumberDataPointValueTypeInt {
		p.SetIntValue(n.whole)
	} else {
		p.SetDoubleValue(n.real)
	}
}

type histogram struct {
	count  uint64
	values float64
	bounds []float64
	counts []uint64
}

func histogramOf(p pmetric.HistogramDataPoint) total {
	return histogram{p.Count(), p.Sum(), p.ExplicitBounds().AsRaw(), p.BucketCounts().AsRaw()}
}

func (h histogram) sum() float64 { return h.values }

func (h histogram) comparable(before histogram) bool {
	return len(h.counts) == len(before.counts) && slices.Equal(h.bounds, before.bounds)
}

func (h histogram) fell(before total) bool {
	old := before.(histogram)
	if h.count < old.count {
		return true
	}
	if !h.comparable(old) {
		return false
	}
	for i, count := range h.counts {
		if count < old.counts[i] {
			return true
		}
	}
	return false
}

func (h histogram) minus(before total) total {
	old := before.(histogram)
	change := histogram{count: h.count - old.count, values: h.values - old.values}
	if h.comparable(old) {
		change.bounds, change.counts = h.bounds, slices.Clone(h.counts)
		for i := range change.counts {
			change.counts[i] -= old.counts[i]
		}
	}
	return change
}

// write leaves out the least and the greatest value, which are those since the sender began.
func (h histogram) write(to dataPoint) {
	p := to.(pmetric.HistogramDataPoint)
	p.SetCount(h.count)
	if p.HasSum() {
		p.SetSum(h.values)
	}
	p.ExplicitBounds().FromRaw(h.bounds)
	p.BucketCounts().FromRaw(h.counts)
	p.RemoveMin()
	p.RemoveMax()
}

type exponential struct {
	count, zero        uint64
	values, threshold  float64
	scale              int32
	positive, negative buckets
}

func exponentialOf(p pmetric.ExponentialHistogramDataPoint) total {
	return exponential{
		p.Count(), p.ZeroCount(), p.Sum(), p.ZeroThreshold(), p.Scale(),
		buckets{p.Positive().Offset(), p.Positive().BucketCounts().AsRaw()},
		buckets{p.Negative().Offset(), p.Negative().BucketCounts().AsRaw()},
	}
}

func (e exponential) sum() float64 { return e.values }

// A sender only ever makes buckets coarser, and the zero bucket wider.
func (e exponential) fell(before total) bool {
	old := before.(exponential)
	switch {
	case e.count < old.count, e.scale > old.scale, e.threshold < old.threshold:
		return true
	case e.threshold > old.threshold:
		return false // buckets went into the zero bucket
	}
	coarser := int64(old.scale) - int64(e.scale)
	_, positive := e.positive.minus(old.positive.coarser(coarser))
	_, negative := e.negative.minus(old.negative.coarser(coarser))
	return e.zero < old.zero || positive || negative
}

func (e exponential) minus(before total) total {
	old := before.(exponential)
	coarser := int64(old.scale) - int64(e.scale)
	change := e
	change.count, change.values = e.count-old.count, e.values-old.values
	change.positive, _ = e.positive.minus(old.positive.coarser(coarser))
	change.negative, _ = e.negative.minus(old.negative.coarser(coarser))
	if e.threshold == old.threshold {
		change.zero = e.zero - old.zero
	} else {
		change.zero = change.count - min(change.count, change.positive.sum()+change.negative.sum())
	}
	return change
}

func (e exponential) write(to dataPoint) {
	p := to.(pmetric.ExponentialHistogramDataPoint)
	p.SetCount(e.count)
	p.SetZeroCount(e.zero)
	if p.HasSum() {
		p.SetSum(e.values)
	}
	e.positive.write(p.Positive())
	e.negative.write(p.Negative())
	p.RemoveMin()
	p.RemoveMax()
}

// buckets of an exponential histogram, from number `offset` on.
type buckets struct {
	offset int32
	counts []uint64
}

func (b buckets) sum() (all uint64) {
	for _, count := range b.counts {
		all += count
	}
	return all
}

// coarser merges 2^by of them into one.
func (b buckets) coarser(by int64) buckets {
	if by <= 0 || len(b.counts) == 0 {
		return b
	}
	offset := int64(b.offset)
	first, last := offset>>by, (offset+int64(len(b.counts))-1)>>by
	merged := buckets{int32(first), make([]uint64, last-first+1)}
	for i, count := range b.counts {
		merged.counts[(offset+int64(i))>>by-first] += count
	}
	return merged
}

// minus is never below nothing; `fell` says where it would be.
func (b buckets) minus(old buckets) (change buckets, fell bool) {
	change = buckets{b.offset, slices.Clone(b.counts)}
	for i, count := range old.counts {
		at := int64(old.offset) + int64(i) - int64(b.offset)
		switch {
		case count == 0:
		case at < 0 || at >= int64(len(change.counts)):
			fell = true
		case change.counts[at] < count:
			change.counts[at], fell = 0, true
		default:
			change.counts[at] -= count
		}
	}
	return change, fell
}

func (b buckets) write(to pmetric.ExponentialHistogramDataPointBuckets) {
	to.SetOffset(b.offset)
	to.BucketCounts().FromRaw(b.counts)
}
