package awsemf

import "go.opentelemetry.io/collector/pdata/pmetric"

// extremes gives a histogram the least and the greatest value that it can have had, where it has none of its
// own: a cumulative one's are those since its sender began, and no difference has them. Upstream writes
// 0 for both, and CloudWatch's Minimum and Maximum were 0 for all requests of an app.
func extremes(metric pmetric.Metric) {
	if metric.Type() != pmetric.MetricTypeHistogram {
		return
	}
	for _, point := range metric.Histogram().DataPoints().All() {
		least, greatest, found := ends(point)
		if found && !point.HasMin() {
			point.SetMin(least)
		}
		if found && !point.HasMax() {
			point.SetMax(greatest)
		}
	}
}

// ends are the bounds of the buckets that hold anything. The first begins at 0, or where it ends when that
// is less; of the last no more is known than where it begins.
func ends(point pmetric.HistogramDataPoint) (least, greatest float64, found bool) {
	bounds, counts := point.ExplicitBounds(), point.BucketCounts()
	if bounds.Len() == 0 || counts.Len() != bounds.Len()+1 {
		return 0, 0, false
	}
	for i, count := range counts.All() {
		if count == 0 {
			continue
		}
		if !found {
			found, least = true, min(0, bounds.At(0))
			if i > 0 {
				least = bounds.At(i - 1)
			}
		}
		greatest = bounds.At(min(i, bounds.Len()-1))
	}
	// Some senders write the infinite bounds too; a NaN is not within either.
	within := -largest <= least && least <= largest && -largest <= greatest && greatest <= largest
	return least, greatest, found && within
}
