// Package segments gives the X-Ray receiver's translation to our own receiver.
//
// It is internal to upstream's module tree, which is why this module carries a path inside it.
// It holds no logic: what a segment becomes, and the proxy for sampling rules, stay upstream's.
package segments

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/open-telemetry/opentelemetry-collector-contrib/internal/aws/proxy"
	awsxray "github.com/open-telemetry/opentelemetry-collector-contrib/internal/aws/xray"
	"github.com/open-telemetry/opentelemetry-collector-contrib/internal/aws/xray/telemetry"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/awsxrayreceiver"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/awsxrayreceiver/internal/tracesegment"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/awsxrayreceiver/internal/translator"
)

// InProgress is the attribute that the X-Ray exporter turns back into the segment's own member.
const InProgress = awsxray.AWSXRayInProgressAttribute

// Split is the document in a packet, without the header that says its format.
func Split(packet []byte) ([]byte, error) {
	_, document, err := tracesegment.SplitHeaderBody(packet)
	return document, err
}

// Translate makes spans of a document, and notes it for the exporter's telemetry records.
func Translate(document []byte, receiver component.ID) (ptrace.Traces, error) {
	traces, _, err := translator.ToTraces(document, telemetry.GlobalRegistry().LoadOrNop(receiver))
	return traces, err
}

// Server is upstream's proxy for sampling rules.
type Server interface {
	ListenAndServe() error
	Shutdown(context.Context) error
}

// NewServer is the proxy of a receiver's config.
func NewServer(cfg *awsxrayreceiver.Config, host component.Host, set component.TelemetrySettings) (Server, error) {
	return proxy.NewServer(cfg.ProxyServer, host, set)
}
