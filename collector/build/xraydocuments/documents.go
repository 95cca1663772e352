// Package documents gives the X-Ray exporter's translation and its client to our own exporter.
//
// Both are internal to upstream's module tree, which is why this module carries a path inside it.
// It holds no logic: the translation and the signing stay upstream's.
package documents

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/xray"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

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
	aws, err := awsutil.GetAWSConfig(ctx, set.Logger, &cfg.AWSSessionSettings)
	if err != nil {
		return nil, err
	}
	return awsxray.NewXRayClient(set.Logger, aws, set.BuildInfo), nil
}

// Make is one span as X-Ray wants it: one document, or two where a span becomes a pair.
func Make(span ptrace.Span, resource pcommon.Resource, cfg *awsxrayexporter.Config) ([]string, error) {
	return translator.MakeSegmentDocuments(
		span, resource, cfg.IndexedAttributes, cfg.IndexAllAttributes, cfg.LogGroupNames,
		metadata.ExporterAwsxraySkiptimestampvalidationFeatureGate.IsEnabled(),
	)
}
