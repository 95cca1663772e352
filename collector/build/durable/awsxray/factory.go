// Package awsxray is upstream's exporter of that name, with an own way of putting segments:
// upstream reads no UnprocessedTraceSegments, so that what X-Ray left out counts as sent.
package awsxray

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/xray"
	"github.com/aws/aws-sdk-go-v2/service/xray/types"
	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsxrayexporter"
	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsxrayexporter/documents"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"otel-stack/durable"
	"otel-stack/durable/names"
)

const (
	// AWS's limit.
	maxPut = 50
	// Of one document: AWS's limit too. What is larger is refused without its id, so that nobody can
	// say which of the batch it was; tried again for ever, ten such batches would be the whole queue.
	maxDocument = 64 << 10
	// Upstream's five, which its config has no key for, end a put that X-Ray takes five seconds for
	// when X-Ray has taken it, and it comes twice.
	putTimeout = 10 * time.Second
	// 0.2 + 0.4 + 0.8 + 1.6 s; then the queue's own pauses.
	putAttempts = 5
	firstPause  = 200 * time.Millisecond
)

// NewFactory takes upstream's place under its name.
func NewFactory() exporter.Factory {
	base := upstream.NewFactory()
	defaults := func() component.Config {
		return durable.NewQueued(*base.CreateDefaultConfig().(*upstream.Config))
	}
	return exporter.NewFactory(base.Type(), defaults, exporter.WithTraces(
		func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Traces, error) {
			own := cfg.(*durable.Queued[upstream.Config])
			client, err := documents.NewClient(ctx, set, &own.Upstream)
			if err != nil {
				return nil, err
			}
			putting := &putter{
				client: client, config: &own.Upstream, taken: durable.NewTaken(set.ID, set.Logger),
			}
			return durable.Traces(ctx, own.Settings(set, "to_xray"), putting)
		}, base.TracesStability()))
}

// putter knows what X-Ray took of a batch that it did not take whole: when the batch comes again,
// only the rest is put.
type putter struct {
	client documents.Client
	config *upstream.Config
	taken  *durable.Taken
}

type segment struct {
	id, document string
	span         int
	// Why X-Ray refused it for good.
	complaint string
}

func (p *putter) Start(context.Context, component.Host) error {
	p.taken.Load()
	return nil
}

func (p *putter) Shutdown(context.Context) error {
	p.taken.Save()
	return nil
}

func (p *putter) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: false}
}

func (p *putter) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	all, refused, err := p.segments(ctx, td)
	if err != nil {
		return err
	}
	left := p.notTaken(all)
	pause, atOnce := firstPause, maxPut
	for attempt := 1; len(left) > 0; attempt++ {
		rest, final, why, err := p.put(ctx, left, atOnce)
		if err != nil {
			return err
		}
		if why.nameless && why.lasting {
			// Alone, a document that X-Ray does not name is known by being alone.
			atOnce = 1
		}
		for _, one := range final {
			refused[one.span] = one.complaint
		}
		left = rest
		if len(left) == 0 {
			break
		}
		if attempt == putAttempts {
			return fmt.Errorf("X-Ray left %d of %d segments unprocessed: %s", len(left), len(all), why.said)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause + rand.N(pause/4)):
			pause *= 2
		}
	}
	p.taken.Remove(ids(all)...)
	return partlyRefused(td, refused)
}

// partlyRefused is an error for each span: each has its own reason.
func partlyRefused(td ptrace.Traces, refused map[int]string) error {
	var all []error
	for _, number := range slices.Sorted(maps.Keys(refused)) {
		all = append(all, &durable.PartlyError[ptrace.Traces]{
			Data: only(td, map[int]bool{number: true}), Reason: refused[number],
		})
	}
	return errors.Join(all...)
}

// segments is every span as X-Ray's documents, and why the others cannot be written as such.
func (p *putter) segments(ctx context.Context, td ptrace.Traces) ([]segment, map[int]string, error) {
	var all []segment
	refused := map[int]string{}
	var last ptrace.ResourceSpans
	var fitted pcommon.Resource
	each(td, func(number int, resource ptrace.ResourceSpans, span ptrace.Span) {
		if ctx.Err() != nil {
			return
		}
		if resource != last {
			last, fitted = resource, pcommon.NewResource()
			resource.Resource().CopyTo(fitted)
			names.FitService(fitted.Attributes())
		}
		var made []documents.Document
		err := durable.Guard(func() (err error) {
			made, err = documents.Make(withFittedNames(span), fitted, p.config, names.ForSegment)
			return err
		})
		if err != nil {
			refused[number] = err.Error()
			return
		}
		for _, document := range made {
			if len(document.Text) > maxDocument {
				refused[number] = fmt.Sprintf("a segment of %d bytes; X-Ray takes at most %d bytes", len(document.Text), maxDocument)
				return
			}
		}
		for _, document := range made {
			all = append(all, segment{id: document.ID, document: document.Text, span: number})
		}
	})
	return all, refused, ctx.Err()
}

// withFittedNames is a copy where a service that the span names has another name at AWS.
func withFittedNames(span ptrace.Span) ptrace.Span {
	fitted := span
	for _, key := range []string{"peer.service", "aws.local.service"} {
		name, found := span.Attributes().Get(key)
		if !found || name.Str() == "" || names.ForService(name.Str()) == name.Str() {
			continue
		}
		if fitted == span {
			fitted = ptrace.NewSpan()
			span.CopyTo(fitted)
		}
		names.Fit(fitted.Attributes(), key, names.ForService)
	}
	return fitted
}

// complaint is the last of X-Ray's: whether it says which segment, and whether it will say so again.
type complaint struct {
	said              string
	nameless, lasting bool
}

// put sends segments, so many at a time. Returns those to put again, those refused for good, and why.
func (p *putter) put(ctx context.Context, all []segment, atOnce int) (rest, final []segment, why complaint, err error) {
	for begin := 0; begin < len(all); begin += atOnce {
		part := all[begin:min(begin+atOnce, len(all))]
		input := &xray.PutTraceSegmentsInput{}
		for _, one := range part {
			input.TraceSegmentDocuments = append(input.TraceSegmentDocuments, one.document)
		}
		limited, cancel := context.WithTimeout(ctx, putTimeout)
		output, failed := p.client.PutTraceSegments(limited, input)
		cancel()
		if failed != nil {
			return nil, nil, complaint{}, failed
		}
		again, never, said := sorted(part, output.UnprocessedTraceSegments)
		if said.said != "" {
			why = said
		}
		rest, final = append(rest, again...), append(final, never...)
		p.taken.Add(ids(part)...)
		p.taken.Remove(ids(again)...)
	}
	return rest, final, why, nil
}

func sorted(part []segment, unprocessed []types.UnprocessedTraceSegment) (again, never []segment, why complaint) {
	said := map[string]types.UnprocessedTraceSegment{}
	for _, one := range unprocessed {
		said[text(one.Id)] = one
		why.said = complaintOf(one)
	}
	unnamed, nameless := said[""]
	why.nameless, why.lasting = nameless, nameless && lasting(text(unnamed.ErrorCode))
	for _, one := range part {
		_, id, _ := strings.Cut(one.id, ":")
		about, left := said[id]
		one.complaint = complaintOf(about)
		if !left {
			one.complaint = complaintOf(unnamed)
		}
		switch {
		case left && lasting(text(about.ErrorCode)):
			never = append(never, one)
		case why.lasting && len(part) == 1:
			never = append(never, one)
		case left, nameless:
			again = append(again, one)
		}
	}
	return again, never, why
}

func complaintOf(one types.UnprocessedTraceSegment) string {
	return "X-Ray said " + text(one.ErrorCode) + ": " + text(one.Message)
}

// lasting tells X-Ray's complaints about a document from those about the moment.
func lasting(code string) bool {
	for _, word := range []string{"Throttl", "Internal", "Unavailable", "Timeout", "Limit"} {
		if strings.Contains(code, word) {
			return false
		}
	}
	return code != ""
}

func text(pointer *string) string {
	if pointer == nil {
		return ""
	}
	return *pointer
}

func (p *putter) notTaken(all []segment) []segment {
	var left []segment
	for _, one := range all {
		if !p.taken.Has(one.id) {
			left = append(left, one)
		}
	}
	return left
}

func ids(of []segment) []string {
	found := make([]string, len(of))
	for i, one := range of {
		found[i] = one.id
	}
	return found
}

func each(td ptrace.Traces, do func(int, ptrace.ResourceSpans, ptrace.Span)) {
	number := 0
	for _, resource := range td.ResourceSpans().All() {
		for _, scope := range resource.ScopeSpans().All() {
			for _, span := range scope.Spans().All() {
				do(number, resource, span)
				number++
			}
		}
	}
}

// only is a copy of the spans with these numbers.
func only(td ptrace.Traces, numbers map[int]bool) ptrace.Traces {
	copied := ptrace.NewTraces()
	td.CopyTo(copied)
	number := -1
	copied.ResourceSpans().RemoveIf(func(resource ptrace.ResourceSpans) bool {
		resource.ScopeSpans().RemoveIf(func(scope ptrace.ScopeSpans) bool {
			scope.Spans().RemoveIf(func(ptrace.Span) bool {
				number++
				return !numbers[number]
			})
			return scope.Spans().Len() == 0
		})
		return resource.ScopeSpans().Len() == 0
	})
	return copied
}
