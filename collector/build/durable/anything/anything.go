// Package anything makes telemetry as nobody should send it, for tests: the same for the same source of
// numbers.
package anything

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Number is the attribute by which an item is found again.
const Number = "test.number"

// Keys are what upstream's translators for AWS read of spans and resources.
var Keys = strings.Fields(`aws.span.kind aws.local.service aws.remote.service aws.local.operation
	aws.remote.operation remoteTarget K8s.RemoteNamespace aws.operation aws.account_id aws.region
	aws.request_id aws.requestId aws.queue_url aws.queue.url aws.service aws.table_name aws.table.name
	aws.dynamodb.table_names aws.xray.inprogress aws.xray.x_forwarded_for aws.xray.resource_arn
	aws.xray.traced aws.xray.annotations aws.xray.metadata.default aws.xray.metadata.own aws.xray.retries
	aws.xray.exception.id aws.log.group.names aws.log.group.arns aws.ecs.cluster.arn aws.ecs.container.arn
	aws.ecs.launchtype aws.ecs.task.arn aws.ecs.task.family aws.ecs.task.id aws.ecs.cluster.name
	http.method http.request.method http.status_code http.response.status_code http.url url.full url.path
	url.query url.scheme http.target http.host http.scheme http.server_name http.user_agent
	user_agent.original http.client_ip client.address server.address server.port net.peer.ip net.peer.name
	net.peer.port net.host.name net.host.port network.peer.address http.route http.status_text
	db.system db.name db.statement db.user db.connection_string peer.service rpc.system rpc.service
	rpc.method messaging.url messaging.message_payload_size_bytes enduser.id
	cloud.provider cloud.platform cloud.account.id cloud.availability_zone host.id host.name host.type
	host.image.id container.name container.id container.image.tag container.image.tags k8s.pod.name
	k8s.cluster.name k8s.node.name pod faas.name faas.version service.name service.namespace service.version
	service.instance.id telemetry.sdk.name telemetry.sdk.language telemetry.sdk.version
	telemetry.auto.version telemetry.distro.version`)

// Languages are those whose stack traces upstream reads, and some that it does not.
var Languages = []string{"java", "python", "javascript", "nodejs", "webjs", "dotnet", "php", "go", "ruby", "rust", ""}

var words = []string{
	"", " ", "aws", "gcp", "azure", "alibaba_cloud", "aws_ec2", "aws_ecs", "aws_eks", "aws_lambda",
	"aws_elastic_beanstalk", "aws_app_runner", "gcp_cloud_run", "azure_vm", "ec2", "fargate", "LOCAL_ROOT",
	"CLIENT", "aws-api", "AWS.SDK.S3", "AWS::DynamoDB", "0", "12", "-1", "GET", "429", "mysql", "redis",
	"http://127.0.0.1:4567/a?b=c", "http://[::1", "://", "%zz", "jdbc:mysql://a:b@c:d/e", "/a/b",
	"arn:aws:logs:us-east-1:123:log-group:a:*", "arn:::::", ":", "&", "a&b&&", "{", `{"a": 1}`, "[1]", "null",
	"\x00", "\x1b[2J", "größe", "\xff\xfe", "a\nb", "*", strings.Repeat("x", 300), strings.Repeat("é", 150),
}

// Values is one of each type, and what is odd of it.
func Values() (all []pcommon.Value) {
	for _, word := range words {
		all = append(all, pcommon.NewValueStr(word))
	}
	for _, number := range []int64{0, 1, -1, 200, 404, 503, math.MaxInt64, math.MinInt64} {
		all = append(all, pcommon.NewValueInt(number))
	}
	for _, number := range []float64{0, 1.5, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64} {
		all = append(all, pcommon.NewValueDouble(number))
	}
	all = append(all, pcommon.NewValueBool(true), pcommon.NewValueBool(false), pcommon.NewValueEmpty(),
		pcommon.NewValueBytes(), pcommon.NewValueMap(), pcommon.NewValueSlice())
	for _, raw := range []any{
		[]any{"a"}, []any{"a", "b"}, []any{1, nil, []any{}}, []byte{0, 255}, map[string]any{"": nil, "a": []any{math.NaN()}},
	} {
		value := pcommon.NewValueEmpty()
		if err := value.FromRaw(raw); err != nil {
			panic(err)
		}
		all = append(all, value)
	}
	return all
}

var values = Values()

func one[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// Attributes are up to so many.
func Attributes(r *rand.Rand, into pcommon.Map, most int) {
	for range r.IntN(most + 1) {
		one(r, values).CopyTo(into.PutEmpty(one(r, Keys)))
	}
}

var platforms = []map[string]any{
	{},
	{"cloud.provider": "aws", "cloud.platform": "aws_ec2", "host.id": "i-1", "cloud.availability_zone": "us-east-1a"},
	{"cloud.provider": "aws", "cloud.platform": "aws_ecs", "aws.ecs.launchtype": "fargate", "aws.ecs.task.arn": "arn:a"},
	{"cloud.provider": "aws", "cloud.platform": "aws_ecs", "aws.ecs.launchtype": "ec2", "container.id": "c"},
	{"cloud.provider": "aws", "cloud.platform": "aws_eks", "k8s.cluster.name": "k", "k8s.pod.name": "p"},
	{"cloud.provider": "aws", "cloud.platform": "aws_elastic_beanstalk", "service.instance.id": "x7", "service.version": "v"},
	{"cloud.provider": "aws", "cloud.platform": "aws_lambda", "faas.name": "f"},
	{"cloud.provider": "aws", "cloud.platform": "aws_app_runner"},
	{"cloud.provider": "gcp", "cloud.platform": "gcp_cloud_run"},
	{"cloud.provider": "azure", "cloud.platform": "azure_vm", "host.id": "vm"},
}

// Resource is of one of AWS's or others' platforms, with some of it wrong.
func Resource(r *rand.Rand, into pcommon.Resource) {
	_ = into.Attributes().FromRaw(one(r, platforms))
	into.Attributes().PutStr("service.name", fmt.Sprint("service-", r.IntN(3)))
	into.Attributes().PutStr("telemetry.sdk.language", one(r, Languages))
	Attributes(r, into.Attributes(), 3)
}

// Span is of now, with ids of its own.
func Span(r *rand.Rand, number int, into ptrace.Span) {
	now := time.Now()
	trace := pcommon.TraceID{}
	binary.BigEndian.PutUint32(trace[:], uint32(now.Unix()))
	binary.BigEndian.PutUint64(trace[8:], uint64(number)+1)
	own := pcommon.SpanID{}
	binary.BigEndian.PutUint64(own[:], uint64(number)+1)
	into.SetTraceID(trace)
	into.SetSpanID(own)
	if r.IntN(2) == 0 {
		into.SetParentSpanID(pcommon.SpanID{1})
	}
	into.SetName(one(r, words))
	into.SetKind(ptrace.SpanKind(r.IntN(7)))
	into.SetStartTimestamp(pcommon.NewTimestampFromTime(now.Add(-time.Duration(r.IntN(1e9)))))
	into.SetEndTimestamp(one(r, []pcommon.Timestamp{0, into.StartTimestamp(), pcommon.NewTimestampFromTime(now), math.MaxUint64}))
	into.Status().SetCode(ptrace.StatusCode(r.IntN(4)))
	into.Status().SetMessage(one(r, words))
	Attributes(r, into.Attributes(), 8)
	for range r.IntN(3) {
		event := into.Events().AppendEmpty()
		event.SetName(one(r, []string{"exception", "exception", "HTTP request failure", "", "message"}))
		Attributes(r, event.Attributes(), 2)
		for _, key := range []string{"exception.type", "exception.message", "exception.stacktrace", "aws.http.error_message"} {
			if r.IntN(2) == 0 {
				one(r, values).CopyTo(event.Attributes().PutEmpty(key))
			}
		}
		if r.IntN(2) == 0 {
			event.Attributes().PutStr("exception.stacktrace", Stack(r))
		}
	}
	for range r.IntN(2) {
		link := into.Links().AppendEmpty()
		link.SetTraceID(trace)
		Attributes(r, link.Attributes(), 2)
	}
}

var lines = []string{
	"java.lang.RuntimeException: x", "\tat a.B.c(B.java:1)", "\tat java.base/a.B.c(Native Method)", "\tat a", "\tat (",
	"Caused by: a.B: c", "Caused by: a.B:", "Caused by: ", "Caused by: :", "\t... 3 more", "\tSuppressed: a.B: c",
	"Traceback (most recent call last):", "  File \"a.py\", line 1, in f", "  File \"", "  File , line 1, in f",
	"  File \"a.py\", line x, in", "    f()", "ValueError: x", "ValueError", ":",
	"During handling of the above exception, another exception occurred:", "",
	"TypeError: x", "    at f (/a.js:1:2)", "    at /a.js:1:2", "    at f (native)", "    at (", "    at ", "    at f (a:", "    at async f (a:1)",
	"   at A.B() in /c.cs:line 12", "   at A.B() in /c.cs:line", "   at A.B() in /c.cs:", "   at A.B()", "   at  in ", "at )",
	"goroutine 1 [running]:", "main.f(0x1)", "\t/a.go:12 +0x1d", "\t/a.go:", "created by main.f",
	"#0 /a.php(12): f()", "#1 {main}", "a.rb:1:in `f': x (E)", "\tfrom a.rb:2:in `<main>'",
}

// Stack is lines of every language's stack traces in any order, cut anywhere.
func Stack(r *rand.Rand) string {
	var all []string
	for range r.IntN(10) {
		all = append(all, one(r, lines))
	}
	text := strings.Join(all, one(r, []string{"\n", "\n", "\n", "\r\n"}))
	return text[:r.IntN(len(text)+1)]
}

// Record is a log record of now.
func Record(r *rand.Rand, number int, into plog.LogRecord) {
	into.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
	into.SetSeverityNumber(plog.SeverityNumber(r.IntN(40) - 5))
	into.SetSeverityText(one(r, words))
	into.SetFlags(plog.LogRecordFlags(r.Uint32()))
	if r.IntN(2) == 0 {
		into.SetTraceID(pcommon.TraceID{1})
	}
	one(r, values).CopyTo(into.Body())
	if r.IntN(4) == 0 {
		into.Body().SetStr(Stack(r))
	}
	Attributes(r, into.Attributes(), 4)
	into.Attributes().PutInt(Number, int64(number))
}

var numbers = []float64{0, 1, -1, 1.5, 1e-300, 1e300, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64}

// Metric is of one data point and called as `name`.
func Metric(r *rand.Rand, name string, into pmetric.Metric) {
	into.SetName(name)
	into.SetUnit(one(r, append([]string{"ms", "By", "1", "{request}"}, words...)))
	temporality := pmetric.AggregationTemporality(r.IntN(4))
	number := func() float64 { return one(r, numbers) }
	counts := func(most int) []uint64 {
		all := make([]uint64, r.IntN(most+1))
		for i := range all {
			all[i] = one(r, []uint64{0, 0, 1, 3, math.MaxUint64})
		}
		return all
	}
	stamp := func(set ...func(pcommon.Timestamp)) {
		set[0](pcommon.NewTimestampFromTime(time.Now()))
		if r.IntN(2) == 0 {
			set[1](one(r, []pcommon.Timestamp{1, pcommon.NewTimestampFromTime(time.Now().Add(-time.Minute)), math.MaxInt64}))
		}
	}
	simple := func(point pmetric.NumberDataPoint) {
		stamp(point.SetTimestamp, point.SetStartTimestamp)
		if r.IntN(2) == 0 {
			point.SetDoubleValue(number())
		} else {
			point.SetIntValue(one(r, []int64{0, 1, -1, math.MaxInt64, math.MinInt64}))
		}
		Attributes(r, point.Attributes(), 3)
	}
	switch r.IntN(5) {
	case 0:
		simple(into.SetEmptyGauge().DataPoints().AppendEmpty())
	case 1:
		sum := into.SetEmptySum()
		sum.SetAggregationTemporality(temporality)
		sum.SetIsMonotonic(r.IntN(2) == 0)
		simple(sum.DataPoints().AppendEmpty())
	case 2:
		histogram := into.SetEmptyHistogram()
		histogram.SetAggregationTemporality(temporality)
		point := histogram.DataPoints().AppendEmpty()
		stamp(point.SetTimestamp, point.SetStartTimestamp)
		point.SetCount(one(r, []uint64{0, 1, 4, math.MaxUint64}))
		if r.IntN(2) == 0 {
			point.SetSum(number())
			point.SetMin(number())
			point.SetMax(number())
		}
		point.BucketCounts().FromRaw(counts(4))
		for range r.IntN(4) {
			point.ExplicitBounds().Append(number())
		}
		Attributes(r, point.Attributes(), 3)
	case 3:
		histogram := into.SetEmptyExponentialHistogram()
		histogram.SetAggregationTemporality(temporality)
		point := histogram.DataPoints().AppendEmpty()
		stamp(point.SetTimestamp, point.SetStartTimestamp)
		point.SetCount(one(r, []uint64{0, 1, 4, math.MaxUint64}))
		point.SetZeroCount(one(r, []uint64{0, 1, math.MaxUint64}))
		point.SetScale(one(r, []int32{0, 3, 20, -10, -11, 21, math.MaxInt32, math.MinInt32}))
		if r.IntN(2) == 0 {
			point.SetSum(number())
			point.SetMin(number())
			point.SetMax(number())
		}
		for _, buckets := range []pmetric.ExponentialHistogramDataPointBuckets{point.Positive(), point.Negative()} {
			buckets.SetOffset(one(r, []int32{0, 1, -5, 1023, -1074, math.MaxInt32, math.MinInt32}))
			buckets.BucketCounts().FromRaw(counts(200))
		}
		Attributes(r, point.Attributes(), 3)
	case 4:
		point := into.SetEmptySummary().DataPoints().AppendEmpty()
		stamp(point.SetTimestamp, point.SetStartTimestamp)
		point.SetCount(one(r, []uint64{0, 1, math.MaxUint64}))
		point.SetSum(number())
		for range r.IntN(4) {
			quantile := point.QuantileValues().AppendEmpty()
			quantile.SetQuantile(number())
			quantile.SetValue(number())
		}
		Attributes(r, point.Attributes(), 3)
	}
}
