package admission

import (
	"bytes"
	"math"
	"strconv"
)

// A longer number may be above 2^63.
const safeDigits = 18

// fitNumber puts right a number that upstream's decoder would refuse the whole request for: an integer
// that is written as a floating-point number (1.6e18), or is larger than one can be. `written` is with
// its quotes, `number` without them.
func (d *document) fitNumber(f *frame, written extent, number []byte) {
	of := f.member.kind
	if of == plain || of == objects || len(number) <= safeDigits && bytes.IndexAny(number, ".eE") < 0 {
		return
	}
	text := string(number)
	if of == floating {
		// ParseFloat's own answer to what is too large.
		if value, err := strconv.ParseFloat(text, 64); err != nil && math.IsInf(value, 0) {
			d.edit(written.from, written.to, strconv.Quote(unencodable(value)))
		}
		return
	}
	if of == unsigned {
		if _, err := strconv.ParseUint(text, 10, 64); err == nil {
			return
		}
	} else if _, err := strconv.ParseInt(text, 10, 64); err == nil {
		return
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(value, 0) {
		return // no number at all
	}
	whole := bytes.IndexAny(number, ".eE") >= 0 && value == math.Trunc(value)
	switch {
	case whole && of == unsigned && value >= 0 && value < 1<<64:
		d.edit(written.from, written.to, strconv.FormatUint(uint64(value), 10))
	case whole && of != unsigned && value >= -1<<63 && value < 1<<63:
		d.edit(written.from, written.to, strconv.FormatInt(int64(value), 10))
	case of == intValue && bytes.IndexAny(number, ".eE") >= 0 && !math.IsInf(value, 0):
		d.edit(f.nameAt.from, f.nameAt.to, "doubleValue")
	case of == intValue:
		// As a text it is what was sent; as a double it would be another number.
		d.edit(f.nameAt.from, f.nameAt.to, "stringValue")
		d.edit(written.from, written.to, strconv.Quote(text))
	case of == unsigned && value >= 0 && value < 1<<64:
		d.edit(written.from, written.to, strconv.FormatUint(uint64(value), 10)) // half a nanosecond
	}
}
