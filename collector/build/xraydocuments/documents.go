// Package documents gives the X-Ray exporter's translation and its client to our own exporter.
//
// Both are internal to upstream's module tree, which is why this module carries a path inside it.
// The translation and the signing stay upstream's.
package documents

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/xray"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"

	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsxrayexporter"
	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsxrayexporter/internal/metadata"
	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsxrayexporter/internal/translator"
	"github.com/open-telemetry/opentelemetry-collector-contrib/internal/aws/awsutil"
	awsxray "github.com/open-telemetry/opentelemetry-collector-contrib/internal/aws/xray"
)

// Client puts segments.
type Client interface {
	PutTraceSegments(context.Context, *xray.PutTraceSegmentsInput, ...func(*xray.Options)) (*xray.PutTraceSegmentsOutput, error)
}

// NewClient is upstream's client for the config's region, endpoint and credentials.
func NewClient(ctx context.Context, set exporter.Settings, cfg *awsxrayexporter.Config) (Client, error) {
	session, err := awsutil.GetAWSConfig(ctx, set.Logger, &cfg.AWSSessionSettings)
	if err != nil {
		return nil, err
	}
	return awsxray.NewXRayClient(set.Logger, session, set.BuildInfo), nil
}

// Session is upstream's way to AWS: region, credentials, or a role in their place, and an HTTP client.
func Session(ctx context.Context, logger *zap.Logger, region, role, proxy string, noVerify bool) (aws.Config, error) {
	settings := awsutil.CreateDefaultSessionConfig()
	settings.Region, settings.RoleARN, settings.ProxyAddress, settings.NoVerifySSL = region, role, proxy, noVerify
	return awsutil.GetAWSConfig(ctx, logger, &settings)
}

// Document is one segment: its id, as trace:segment, and its JSON.
type Document struct{ ID, Text string }

// Make is one span as X-Ray wants it: one document, or two where a span becomes a pair.
//
// Of a pair (LOCAL_ROOT spans, open-telemetry/opentelemetry-collector-contrib#33000) upstream draws the
// service's id at random each time: at each retry it was another segment, 20 where 8 were owed. Here the
// same span has the same ids for ever.
//
// Upstream fits none but span names to X-Ray's rule; `fit` does it for all, since X-Ray refuses a segment
// for its name. The original stays in the segment's metadata.
func Make(span ptrace.Span, resource pcommon.Resource, cfg *awsxrayexporter.Config, fit func(string) string) ([]Document, error) {
	segments, err := translator.MakeSegmentsFromSpan(
		digestible(span, resource), resource, cfg.IndexedAttributes, cfg.IndexAllAttributes, cfg.LogGroupNames,
		metadata.ExporterAwsxraySkiptimestampvalidationFeatureGate.IsEnabled(),
	)
	if err != nil {
		return nil, err
	}
	if len(segments) == 2 {
		dependency, service := segments[0], segments[1]
		id := serviceID(span)
		dependency.ParentID, service.ID = &id, &id
	}
	var made []Document
	for _, segment := range segments {
		if name := fit(*segment.Name); name != *segment.Name {
			if segment.Metadata == nil {
				segment.Metadata = map[string]map[string]any{}
			}
			if segment.Metadata["default"] == nil {
				segment.Metadata["default"] = map[string]any{}
			}
			segment.Metadata["default"]["name.original"] = *segment.Name
			segment.Name = &name
		}
		text, err := translator.MakeDocumentFromSegment(segment)
		if err != nil {
			return nil, err
		}
		made = append(made, Document{*segment.TraceID + ":" + *segment.ID, text})
	}
	return made, nil
}

func serviceID(span ptrace.Span) string {
	trace, own := span.TraceID(), span.SpanID()
	sum := sha256.Sum256(append(append([]byte("service"), trace[:]...), own[:]...))
	return hex.EncodeToString(sum[:len(own)])
}

// maxStacks is of all stack traces of a span together. A document may have 64 kB, and upstream's reading
// of a cause with many lines takes time by their square: 4 MB of them more than three minutes.
const maxStacks = 64 << 10

// digestible is a copy where upstream would change the span, or take too long for it.
func digestible(span ptrace.Span, resource pcommon.Resource) ptrace.Span {
	const stack = "exception.stacktrace"
	// Upstream removes the attribute, and panics where another exporter has the same data.
	_, changed := span.Attributes().Get(awsxray.AWSXRayInProgressAttribute)
	stacks := 0
	for _, event := range span.Events().All() {
		if value, found := event.Attributes().Get(stack); found {
			stacks += len(value.Str())
		}
	}
	if stacks <= maxStacks && !changed {
		return span
	}
	copied := ptrace.NewSpan()
	span.CopyTo(copied)
	language, _ := resource.Attributes().Get("telemetry.sdk.language")
	left := maxStacks
	for _, event := range copied.Events().All() {
		value, found := event.Attributes().Get(stack)
		if !found || value.Type() != pcommon.ValueTypeStr {
			continue
		}
		text := value.Str()
		if len(text) > left {
			text = cut(text, left, language.Str() == "python")
			value.SetStr(text)
		}
		left -= len(text)
	}
	return copied
}

// cut keeps the lines nearest to the error: Python has them at the end.
func cut(text string, length int, atEnd bool) string {
	if atEnd {
		text = text[len(text)-length:]
		_, text, _ = strings.Cut(text, "\n")
		return text
	}
	text = text[:length]
	return text[:strings.LastIndexByte(text, '\n')+1]
}
