package admission

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// Of values within values. Upstream's decoder and every exporter follow them by recursion: a body
	// of 0.8 MB, 10^5 deep, took 570 MB. And protobuf's readers in C++, Java and Python take 100
	// messages within each other: a vendor that has one of them refuses the whole batch, everybody
	// else's spans too. Nine lead to the first value, three to each further one.
	maxDepth = 30
	// Of one request, decoded. 8 MiB of spans with 15 attributes need 35 MB; 8 MiB of two-byte
	// spans need a gigabyte.
	maxWeight = 64 << 20
)

var (
	errMalformed = errors.New("the body is no OTLP of this signal in protobuf; JSON needs Content-Type: application/json")
	errDeep      = fmt.Errorf("values are nested deeper than %d", maxDepth)
	errHeavy     = fmt.Errorf("the request would take more than %d MiB decoded: send it in parts", maxWeight>>20)
)

// message is what an OTLP message costs once it is decoded, and which of its fields hold messages.
type message struct {
	bytes  int
	fields map[protowire.Number]*message
	// nests is for values, which can hold each other.
	nests bool
}

// What scopes were called before OTLP 0.15. Upstream still reads it.
const instrumentationLibrary = 1000

var (
	anyValue = &message{bytes: 64, nests: true}
	keyValue = &message{bytes: 96, fields: map[protowire.Number]*message{2: anyValue}}

	resource = &message{bytes: 128, fields: map[protowire.Number]*message{1: keyValue}}
	scope    = &message{bytes: 128, fields: map[protowire.Number]*message{3: keyValue}}

	event = &message{bytes: 128, fields: map[protowire.Number]*message{3: keyValue}}
	link  = &message{bytes: 160, fields: map[protowire.Number]*message{4: keyValue}}
	span  = &message{bytes: 400, fields: map[protowire.Number]*message{9: keyValue, 11: event, 13: link}}

	record = &message{bytes: 320, fields: map[protowire.Number]*message{5: anyValue, 6: keyValue}}

	exemplar   = &message{bytes: 160, fields: map[protowire.Number]*message{7: keyValue}}
	number     = &message{bytes: 192, fields: map[protowire.Number]*message{7: keyValue, 5: exemplar}}
	histogram  = &message{bytes: 320, fields: map[protowire.Number]*message{9: keyValue, 8: exemplar}}
	buckets    = &message{bytes: 320, fields: map[protowire.Number]*message{1: keyValue, 11: exemplar}}
	quantile   = &message{bytes: 48}
	summary    = &message{bytes: 192, fields: map[protowire.Number]*message{7: keyValue, 6: quantile}}
	metricData = &message{bytes: 192, fields: map[protowire.Number]*message{
		5: points(number), 7: points(number), 9: points(histogram), 10: points(buckets), 11: points(summary),
		12: keyValue,
	}}

	requests = map[string]*message{
		"traces": request(span), "metrics": request(metricData), "logs": request(record),
	}
)

func init() {
	list := &message{bytes: 48, fields: map[protowire.Number]*message{1: anyValue}}
	pairs := &message{bytes: 48, fields: map[protowire.Number]*message{1: keyValue}}
	anyValue.fields = map[protowire.Number]*message{5: list, 6: pairs}
}

func points(of *message) *message {
	return &message{bytes: 64, fields: map[protowire.Number]*message{1: of}}
}

func request(of *message) *message {
	scoped := &message{bytes: 160, fields: map[protowire.Number]*message{1: scope, 2: of}}
	all := &message{bytes: 160, fields: map[protowire.Number]*message{
		1: resource, 2: scoped, instrumentationLibrary: scoped,
	}}
	return &message{fields: map[protowire.Number]*message{1: all}}
}

// weigh is the bytes that an OTLP request will take decoded, found without decoding it.
func weigh(signal string, body []byte) (int, error) {
	kind, known := requests[signal]
	if !known {
		return len(body), nil
	}
	weight := len(body)
	return weight, kind.add(body, 0, &weight)
}

func (m *message) add(content []byte, depth int, weight *int) error {
	if *weight += m.bytes; *weight > maxWeight {
		return errHeavy
	}
	if m.nests {
		if depth++; depth > maxDepth {
			return errDeep
		}
	}
	for len(content) > 0 {
		field, wire, length := protowire.ConsumeTag(content)
		if length < 0 {
			return errMalformed
		}
		content = content[length:]
		if wire != protowire.BytesType {
			if length = protowire.ConsumeFieldValue(field, wire, content); length < 0 {
				return errMalformed
			}
			content = content[length:]
			continue
		}
		value, length := protowire.ConsumeBytes(content)
		if length < 0 {
			return errMalformed
		}
		content = content[length:]
		if below := m.fields[field]; below != nil {
			if err := below.add(value, depth, weight); err != nil {
				return err
			}
		}
	}
	return nil
}
