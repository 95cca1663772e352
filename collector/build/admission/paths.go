package admission

import (
	"path"
	"regexp"
	"strings"
)

// Slips that are known by their path: what status calls them, and what is to be done.
var slips = []struct {
	is    *regexp.Regexp
	label string // $1 is the pattern's; "" for the path itself
	why   string
}{
	{
		regexp.MustCompile(`^(?:/v1/(?:traces|metrics|logs))*(/v1/(?:traces|metrics|logs)/v1/(?:traces|metrics|logs))$`), "$1",
		"the endpoint already has /v1/…: an SDK appends the signal's path to OTEL_EXPORTER_OTLP_ENDPOINT, so set that " +
			"without a path, or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT (_METRICS_, _LOGS_) to the whole URL",
	},
	{
		regexp.MustCompile(`^/?$`), "/",
		"no signal in the path: an exporter that takes its URL as it is (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, a `url` in " +
			"code) needs /v1/traces, /v1/metrics or /v1/logs at its end",
	},
	{
		regexp.MustCompile(`^/v1/?$`), "/v1",
		"the path ends too early: /v1/traces, /v1/metrics or /v1/logs",
	},
	{
		regexp.MustCompile(`^(/v1/(?:trace|metric|log))$`), "$1",
		"the path is written in the plural: /v1/traces, /v1/metrics, /v1/logs",
	},
	{
		regexp.MustCompile(`^/(?:traces|metrics|logs)$`), "",
		"/v1 is missing before the signal: /v1/traces, /v1/metrics, /v1/logs",
	},
	{
		regexp.MustCompile(`^/opentelemetry\.proto\.collector\.`), "gRPC",
		"this is gRPC: OTEL_EXPORTER_OTLP_PROTOCOL=grpc goes to the other port (4317), http/protobuf to this one",
	},
	{
		regexp.MustCompile(`^/v1(?:development|experimental)?/profiles$`), "/v1/profiles",
		"profiles are not taken, only traces, metrics and logs",
	},
	{
		regexp.MustCompile(`^/api/v[12]/spans$`), "zipkin",
		"this is Zipkin's path; only OTLP is taken: use the OTLP exporter in place of Zipkin's",
	},
	{
		regexp.MustCompile(`^/api/traces$`), "jaeger",
		"this is Jaeger's path; only OTLP is taken: use the OTLP exporter in place of Jaeger's",
	},
	{
		regexp.MustCompile(`^/(?:api/v1/write|loki/api/v1/push)$`), "prometheus",
		"this is Prometheus' or Loki's path; only OTLP is taken",
	},
	{
		regexp.MustCompile(`^/.+(/v1/(?:traces|metrics|logs))$`), "…$1",
		"something stands before /v1/…: set OTEL_EXPORTER_OTLP_ENDPOINT without a path",
	},
}

// slip is what a path is called that nothing is served at, and what is to be done. Few names: a label of
// a metric must not grow with what strangers send.
func slip(of string) (label, why string) {
	for _, known := range slips {
		found := known.is.FindStringSubmatchIndex(of)
		if found == nil {
			continue
		}
		if known.label == "" {
			return of, known.why
		}
		return string(known.is.ExpandString(nil, known.label, of, found)), known.why
	}
	return "other", "OTLP is taken at /v1/traces, /v1/metrics and /v1/logs"
}

// tidied is the path without what does no harm: slashes too many.
func tidied(of string) string {
	if strings.Contains(of, "//") || strings.HasSuffix(of, "/") {
		return path.Clean("/" + of)
	}
	return of
}
