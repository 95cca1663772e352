package admission

import (
	"strings"
	"unicode"
)

// shape is what OTLP/JSON has in an object. A member by both of its names: upstream takes
// `resource_spans` for `resourceSpans`.
type shape struct {
	members map[string]*member
	// items are below it, or it is one: what it does not know may be somebody's data.
	holds, item bool
}

type member struct {
	name string
	kind kind
	of   *shape
	old  []string
}

// renamed is whether it is written by a name that only old senders use.
func (m *member) renamed(as []byte) bool {
	for _, old := range m.old {
		if string(as) == old {
			return true
		}
	}
	return false
}

type kind int

const (
	plain kind = iota
	objects
	integer // of 64 bits, as are the next two: many write them as floating-point numbers
	unsigned
	intValue // in a value, which may become another value
	floating
)

// Names that old senders use. What scopes were called before OTLP 0.15, upstream reads from protobuf alone.
var oldNames = map[string]string{
	"instrumentationLibrarySpans":   "scopeSpans",
	"instrumentationLibraryMetrics": "scopeMetrics",
	"instrumentationLibraryLogs":    "scopeLogs",
	"deprecatedScopeSpans":          "scopeSpans",
	"deprecatedScopeMetrics":        "scopeMetrics",
	"deprecatedScopeLogs":           "scopeLogs",
	"instrumentationLibrary":        "scope",
	"logs":                          "logRecords",
}

// object is a shape with these members: `name`, or `name:kind`.
func object(names string, of map[string]*shape) *shape {
	s := &shape{members: map[string]*member{}}
	add := func(m *member) {
		for old, now := range oldNames {
			if now == m.name {
				m.old = append(m.old, old, snake(old))
			}
		}
		for _, name := range append([]string{m.name, snake(m.name)}, m.old...) {
			s.members[name] = m
		}
	}
	for _, name := range strings.Fields(names) {
		name, of, _ := strings.Cut(name, ":")
		add(&member{name: name, kind: map[string]kind{
			"": plain, "int": integer, "uint": unsigned, "value": intValue, "float": floating,
		}[of]})
	}
	for name, inner := range of {
		add(&member{name: name, kind: objects, of: inner})
	}
	return s
}

func snake(name string) string {
	var out strings.Builder
	for _, c := range name {
		if unicode.IsUpper(c) {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(c))
	}
	return out.String()
}

var shapes = func() map[string]*shape {
	value := object("stringValue boolValue intValue:value doubleValue:float bytesValue stringValueStrindex", nil)
	pair := object("key keyStrindex", map[string]*shape{"value": value})
	for name, of := range map[string]*shape{"arrayValue": value, "kvlistValue": pair} {
		list := &member{name: name, kind: objects, of: object("", map[string]*shape{"values": of})}
		value.members[name], value.members[snake(name)] = list, list
	}
	with := func(more map[string]*shape) map[string]*shape {
		more["attributes"] = pair
		return more
	}
	attributes := with(map[string]*shape{})
	resource := object("droppedAttributesCount", with(map[string]*shape{
		"entityRefs": object("schemaUrl type idKeys descriptionKeys", nil),
	}))
	scope := object("name version droppedAttributesCount", attributes)
	request := func(all, scoped, items string, item *shape) *shape {
		item.item = true
		inner := object("schemaUrl", map[string]*shape{"scope": scope, items: item})
		outer := object("schemaUrl", map[string]*shape{"resource": resource, scoped: inner})
		whole := object("", map[string]*shape{all: outer})
		inner.holds, outer.holds, whole.holds = true, true, true
		return whole
	}

	event := object("timeUnixNano:uint name droppedAttributesCount", attributes)
	link := object("traceId spanId traceState droppedAttributesCount flags", attributes)
	span := object("traceId spanId traceState parentSpanId flags name kind startTimeUnixNano:uint endTimeUnixNano:uint "+
		"droppedAttributesCount droppedEventsCount droppedLinksCount", with(map[string]*shape{
		"events": event, "links": link, "status": object("message code", nil),
	}))

	record := object("timeUnixNano:uint observedTimeUnixNano:uint severityNumber severityText droppedAttributesCount flags "+
		"traceId spanId eventName", with(map[string]*shape{"body": value}))

	exemplar := object("timeUnixNano:uint asDouble:float asInt:int spanId traceId", map[string]*shape{"filteredAttributes": pair})
	sampled := with(map[string]*shape{"exemplars": exemplar})
	times := "startTimeUnixNano:uint timeUnixNano:uint flags "
	number := object(times+"asDouble:float asInt:int", sampled)
	histogram := object(times+"count:uint sum:float min:float max:float bucketCounts explicitBounds", sampled)
	buckets := object("offset bucketCounts", nil)
	exponential := object(times+"count:uint sum:float scale zeroCount:uint min:float max:float zeroThreshold:float",
		with(map[string]*shape{"exemplars": exemplar, "positive": buckets, "negative": buckets}))
	summary := object(times+"count:uint sum:float",
		with(map[string]*shape{"quantileValues": object("quantile:float value:float", nil)}))
	kindOf := func(more string, point *shape) *shape {
		return object(more, map[string]*shape{"dataPoints": point})
	}
	metric := object("name description unit", map[string]*shape{
		"metadata": pair, "gauge": kindOf("", number), "sum": kindOf("aggregationTemporality isMonotonic", number),
		"histogram":            kindOf("aggregationTemporality", histogram),
		"exponentialHistogram": kindOf("aggregationTemporality", exponential), "summary": kindOf("", summary),
	})
	return map[string]*shape{
		"traces":  request("resourceSpans", "scopeSpans", "spans", span),
		"metrics": request("resourceMetrics", "scopeMetrics", "metrics", metric),
		"logs":    request("resourceLogs", "scopeLogs", "logRecords", record),
	}
}()
