// Package documents gives the X-Ray exporter's translation and its client to our own exporter.
//
// Both are internal to upstream's module tree, which is why this module carries a path inside it.
// It holds no logic: the translation and the signing stay upstream's.
package documents

import (
	"context"

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

// Make is one span as X-Ray wants it: one document, or two where a span becomes a pair.
func Make(span ptrace.Span, resource pcommon.Resource, cfg *awsxrayexporter.Config) ([]string, error) {
	return translator.MakeSegmentDocuments(
		span, resource, cfg.IndexedAttributes, cfg.IndexAllAttributes, cfg.LogGroupNames,
		metadata.ExporterAwsxraySkiptimestampvalidationFeatureGate.IsEnabled(),
	)
}
