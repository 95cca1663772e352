package otlpgrpc

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/exporter"
	upstream "go.opentelemetry.io/collector/exporter/otlpexporter"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"otel-stack/durable"
)

const (
	key     = "key-of-the-tests"
	dataset = "spans-of-the-tests"
)

// repeating says all headers back: in its refusal, or with what it takes in part.
type repeating struct {
	ptraceotlp.UnimplementedGRPCServer
	refuse bool
}

func headers(ctx context.Context) string {
	sent, _ := metadata.FromIncomingContext(ctx)
	return fmt.Sprint(sent)
}

func refusal(ctx context.Context) error {
	said, err := status.New(codes.Unauthenticated, headers(ctx)).WithDetails(
		&errdetails.ErrorInfo{Reason: headers(ctx)})
	if err != nil {
		return err
	}
	return said.Err()
}

func (r *repeating) Export(ctx context.Context, _ ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	answer := ptraceotlp.NewExportResponse()
	if r.refuse {
		return answer, refusal(ctx)
	}
	answer.PartialSuccess().SetRejectedSpans(1)
	answer.PartialSuccess().SetErrorMessage(headers(ctx))
	return answer, nil
}

type repeatingMetrics struct {
	pmetricotlp.UnimplementedGRPCServer
}

func (*repeatingMetrics) Export(ctx context.Context, _ pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	return pmetricotlp.NewExportResponse(), refusal(ctx)
}

type repeatingLogs struct {
	plogotlp.UnimplementedGRPCServer
}

func (*repeatingLogs) Export(ctx context.Context, _ plogotlp.ExportRequest) (plogotlp.ExportResponse, error) {
	return plogotlp.NewExportResponse(), refusal(ctx)
}

func vendor(t *testing.T) (*repeating, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v, serving := &repeating{}, grpc.NewServer()
	ptraceotlp.RegisterGRPCServer(serving, v)
	pmetricotlp.RegisterGRPCServer(serving, &repeatingMetrics{})
	plogotlp.RegisterGRPCServer(serving, &repeatingLogs{})
	go func() { _ = serving.Serve(listener) }()
	t.Cleanup(serving.Stop)
	return v, listener.Addr().String()
}

func config(endpoint string) *upstream.Config {
	made := NewFactory().CreateDefaultConfig().(*upstream.Config)
	made.QueueConfig = durable.NoQueue()
	made.RetryConfig.Enabled = false
	made.ClientConfig.Endpoint = endpoint
	made.ClientConfig.TLS.Insecure = true
	made.ClientConfig.Headers.Set("authorization", configopaque.String("Bearer "+key))
	made.ClientConfig.Headers.Set("x-dataset", dataset)
	return made
}

func settings() (exporter.Settings, *observer.ObservedLogs) {
	core, logged := observer.New(zap.DebugLevel)
	set := exporter.Settings{TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	set.ID = component.NewID(NewFactory().Type())
	set.Logger = zap.New(core)
	return set, logged
}

func check(t *testing.T, what, text string) {
	t.Helper()
	if strings.Contains(text, key) {
		t.Errorf("%s: %s", what, text)
	}
	if !strings.Contains(text, dataset) {
		t.Errorf("%s: what is no key is gone too: %s", what, text)
	}
}

func TestAKeyThatAVendorRepeatsOverGRPCIsHidden(t *testing.T) {
	v, endpoint := vendor(t)
	set, logged := settings()
	host := componenttest.NewNopHost()
	td := ptrace.NewTraces()
	td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()

	made, err := NewFactory().CreateTraces(t.Context(), set, config(endpoint))
	if err != nil {
		t.Fatal(err)
	}
	if err := made.Start(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	v.refuse = true
	failed := made.ConsumeTraces(t.Context(), td)
	check(t, "a refusal", failed.Error())
	check(t, "its details", fmt.Sprint(status.Convert(failed).Details()...))
	if code := status.Code(failed); code != codes.Unauthenticated {
		t.Errorf("the status became %v", code)
	}

	v.refuse = false
	if err := made.ConsumeTraces(t.Context(), td); err != nil {
		t.Error(err)
	}
	if err := made.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	check(t, "what it took in part, and the log", fmt.Sprint(logged.All()))
}

func TestSoItIsForMetricsAndLogs(t *testing.T) {
	_, endpoint := vendor(t)
	set, _ := settings()
	host := componenttest.NewNopHost()

	metrics, err := NewFactory().CreateMetrics(t.Context(), set, config(endpoint))
	if err != nil {
		t.Fatal(err)
	}
	if err := metrics.Start(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	check(t, "metrics", metrics.ConsumeMetrics(t.Context(), pmetric.NewMetrics()).Error())
	_ = metrics.Shutdown(t.Context())

	logs, err := NewFactory().CreateLogs(t.Context(), set, config(endpoint))
	if err != nil {
		t.Fatal(err)
	}
	if err := logs.Start(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	check(t, "logs", logs.ConsumeLogs(t.Context(), plog.NewLogs()).Error())
	_ = logs.Shutdown(t.Context())
}
