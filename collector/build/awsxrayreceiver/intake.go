package awsxrayreceiver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"

	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/awsxrayreceiver/segments"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

var (
	traceID = regexp.MustCompile(`^1-[0-9a-fA-F]{8}-[0-9a-fA-F]{24}$`)
	spanID  = regexp.MustCompile(`^[0-9a-fA-F]{16}$`)
)

// What a span's time can hold, in 2554; a time in milliseconds is beyond it.
const lastSecond = math.MaxUint64 / 1e9

// timeRepaired is the attribute of collector/build/admission for times that were not possible.
const timeRepaired = "otel_stack.time_repaired"

// intake counts each segment once.
type intake struct {
	set        receiver.Settings
	next       consumer.Traces
	report     *receiverhelper.ObsReport
	refusals   *refusals
	inProgress metric.Int64Counter
	repaired   metric.Int64Counter
}

func newIntake(set receiver.Settings, endpoint string, next consumer.Traces) (*intake, error) {
	report, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
		ReceiverID: set.ID, Transport: "udp", ReceiverCreateSettings: set,
	})
	if err != nil {
		return nil, err
	}
	meter := set.MeterProvider.Meter("otel-stack/awsxrayreceiver")
	refusals, err := newRefusals(set.ID.String(), endpoint, set.Logger, meter)
	if err != nil {
		return nil, err
	}
	inProgress, err := meter.Int64Counter("otelcol_receiver_in_progress_spans",
		metric.WithDescription("Segments that had not ended when they were sent; each counts as accepted when it is sent with its end."))
	if err != nil {
		return nil, err
	}
	repaired, err := meter.Int64Counter("otelcol_receiver_repaired_values",
		metric.WithDescription("Values that no vendor can read as they came: text that is no UTF-8, NaN and infinity, impossible times."))
	return &intake{set: set, next: next, report: report, refusals: refusals, inProgress: inProgress, repaired: repaired}, err
}

// document is what we ask of a segment before it is translated.
type document struct {
	Name        *string    `json:"name"`
	ID          *string    `json:"id"`
	TraceID     *string    `json:"trace_id"`
	ParentID    *string    `json:"parent_id"`
	Start       *float64   `json:"start_time"`
	End         *float64   `json:"end_time"`
	Subsegments []document `json:"subsegments"`
	AWS         struct {
		XRay struct {
			SDK     any `json:"sdk"`
			Version any `json:"sdk_version"`
		} `json:"xray"`
	} `json:"aws"`
}

func (i *intake) take(packet []byte) {
	ctx := i.report.StartTracesOp(context.Background())
	count, refused := i.pass(ctx, packet)
	if refused == nil {
		i.report.EndTracesOp(ctx, "json", count, nil)
		return
	}
	i.refusals.add(ctx, refused)
	i.report.EndTracesOp(ctx, "json", count, refused.cause)
}

// pass gives a packet's spans to the pipeline. It counts those that have ended, or those that are refused.
func (i *intake) pass(ctx context.Context, packet []byte) (count int, refused *refusal) {
	count = 1
	defer func() {
		// A panic here would end the collector.
		if panicked := recover(); panicked != nil {
			refused = &refusal{reason: reasonForeign, cause: fmt.Errorf("the translation panicked: %v", panicked)}
		}
	}()
	body, err := segments.Split(packet)
	if err != nil {
		// Upstream's error holds the packet byte by byte.
		return count, &refusal{reason: reasonHeader, cause: errors.New("no header of an X-Ray SDK")}
	}
	if len(body) == 0 {
		return count, &refusal{reason: reasonEmpty, cause: errors.New("no segment follows the header")}
	}
	var sent document
	if err := json.Unmarshal(body, &sent); err != nil {
		return count, ofJSON(err, sent.sdk())
	}
	count = sent.size()
	if err := sent.check(true); err != nil {
		return count, &refusal{reasonSegment, err, sent.sdk()}
	}
	traces, err := segments.Translate(body, i.set.ID)
	if err != nil {
		return count, ofJSON(err, sent.sdk())
	}
	running, repaired := settle(traces)
	if err := i.next.ConsumeTraces(ctx, traces); err != nil {
		return count, &refusal{reasonBusy, err, sent.sdk()}
	}
	receiver := attribute.String("receiver", i.set.ID.String())
	if running > 0 {
		i.inProgress.Add(ctx, int64(running), metric.WithAttributes(receiver))
	}
	if repaired > 0 {
		i.repaired.Add(ctx, int64(repaired), metric.WithAttributes(receiver, attribute.String("kind", "time")))
	}
	return count - running, nil
}

func ofJSON(err error, sdk string) *refusal {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return &refusal{reasonJSON, fmt.Errorf("the segment is no JSON: %w", err), sdk}
	case errors.As(err, &kind):
		return &refusal{reasonType, fmt.Errorf("%s is a %s", kind.Field, kind.Value), sdk}
	}
	return &refusal{reasonForeign, err, sdk}
}

// sdk is what the sender calls itself.
func (d *document) sdk() string {
	name, _ := d.AWS.XRay.SDK.(string)
	version, _ := d.AWS.XRay.Version.(string)
	return strings.TrimSpace(name + " " + version)
}

func (d *document) size() int {
	total := 1
	for at := range d.Subsegments {
		total += d.Subsegments[at].size()
	}
	return total
}

// check holds a document to what X-Ray asks of each, in X-Ray's words for its members.
func (d *document) check(whole bool) error {
	switch {
	case d.Name == nil || *d.Name == "":
		return errors.New("name is missing")
	case d.ID == nil || !spanID.MatchString(*d.ID):
		return errors.New("id is no 16 hexadecimal digits")
	case whole && (d.TraceID == nil || !traceID.MatchString(*d.TraceID)):
		return errors.New("trace_id is no 1-<8 hexadecimal digits>-<24 hexadecimal digits>")
	case d.TraceID != nil && !traceID.MatchString(*d.TraceID):
		return errors.New("trace_id of a subsegment is no 1-<8 hexadecimal digits>-<24 hexadecimal digits>")
	case d.ParentID != nil && !spanID.MatchString(*d.ParentID):
		return errors.New("parent_id is no 16 hexadecimal digits")
	case d.Start == nil || *d.Start <= 0 || *d.Start >= lastSecond:
		return errors.New("start_time is no time in seconds")
	case d.End != nil && (*d.End < 0 || *d.End >= lastSecond):
		return errors.New("end_time is no time in seconds")
	}
	for at := range d.Subsegments {
		if err := d.Subsegments[at].check(false); err != nil {
			return fmt.Errorf("subsegment: %w", err)
		}
	}
	return nil
}

// settle counts the spans that have no end yet, and gives them one for who needs it: the moment that
// they began. X-Ray's exporter leaves it out again (contrib#43962), by the attribute. It repairs those
// that end before they start as the otlp receiver does, and counts them.
func settle(traces ptrace.Traces) (running, repaired int) {
	for _, resource := range traces.ResourceSpans().All() {
		for _, scope := range resource.ScopeSpans().All() {
			for _, span := range scope.Spans().All() {
				start, end := span.StartTimestamp(), span.EndTimestamp()
				if end == 0 {
					span.SetEndTimestamp(start)
					span.Attributes().PutBool(segments.InProgress, true)
					running++
					continue
				}
				// An end says more than being in progress, and X-Ray wants one of them.
				span.Attributes().Remove(segments.InProgress)
				if end < start {
					span.SetEndTimestamp(start)
					span.Attributes().PutStr(timeRepaired, fmt.Sprintf("start %d, end %d", start, end))
					repaired++
				}
			}
		}
	}
	return running, repaired
}
