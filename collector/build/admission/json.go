package admission

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

const (
	// A list in a list takes three of JSON's levels; ten lead to the first value.
	maxJSONDepth = 10 + 3*maxDepth
	// Of an object or a list, whatever it will be: {"key":"a"} is an attribute, {} can be a span. So
	// can each null of a list, and each number before upstream sees that it is none: at 317 bytes each,
	// 7 MB of `1,` took 1.1 GB.
	jsonObject = 200
	// Of a number in a list of numbers.
	jsonNumber = 16
	// Of names that a sender made up, in an answer.
	maxNames = 3

	byteOrderMark = "\uFEFF"
)

var (
	errNoObject = errors.New("the body is no JSON object")
	errMore     = errors.New("more than one JSON document in the body: send a request for each")
)

// What lists of items are called, in any signal.
var itemLists = map[string]bool{
	"spans": true, "logRecords": true, "log_records": true, "logs": true, "dataPoints": true, "data_points": true,
}

// document is a request of OTLP/JSON, read in one pass without decoding it. It is weighed, and what
// upstream would refuse with all its neighbours is put right. Only brackets and names are followed: the
// decoder judges the rest.
type document struct {
	body   []byte
	weight int
	// Members that OTLP does not have: how many, the first names of them, and how many items were below.
	unknown int
	names   []string
	lost    int
	// Where each item is, if that is asked for.
	wantItems bool
	items     []extent

	// What is rewritten of the body, and up to where.
	out  []byte
	last int
	// The text last read.
	text extent
	// An element of a list is to come.
	begins bool
	depth  int
	frames [maxJSONDepth + 1]frame
	points int // of the item that is open
	below  lostBelow
}

// extent is a part of the body; `points` is of a metric.
type extent struct{ from, to, points int }

// frame is an object or a list that is open.
type frame struct {
	list bool
	// What an object has, or what a list's objects have. Nil for what is unknown.
	shape *shape
	// What an element of a list weighs.
	element int
	// Of an object: its member that is being read, and where its name is. Of a list: its own name.
	member *member
	name   []byte
	nameAt extent
	// Where it begins.
	from int
}

// lostBelow is what a member that nobody knows holds: elements of lists that are called as items are,
// or else those of its own list.
type lostBelow struct{ depth, named, direct int }

func readJSON(signal string, body []byte, wantItems bool) (*document, error) {
	d := &document{body: body, weight: len(body), wantItems: wantItems}
	d.frames[0].member = &member{of: shapes[signal]}
	at, ended := 0, false
	if bytes.HasPrefix(body, []byte(byteOrderMark)) {
		at = len(byteOrderMark)
		d.edit(0, at, "")
	}
	for ; at < len(body); at++ {
		c := body[at]
		if space(c) {
			continue
		}
		if ended {
			return d, errMore
		}
		if d.depth == 0 && c != '{' {
			return d, errNoObject
		}
		if d.begins {
			if d.begins = false; c != '{' && c != '[' && c != ']' {
				d.weight += d.frames[d.depth].element
			}
		}
		switch c {
		case '"':
			at = d.readText(at)
		case ':':
			d.readName()
		case '{', '[':
			if d.depth++; d.depth > maxJSONDepth {
				return d, errDeep
			}
			d.open(at, c == '[')
		case '}', ']':
			d.close(at)
			ended = d.depth == 0
		case ',':
			d.next()
		default:
			at = d.readToken(at)
		}
		if d.weight > maxWeight {
			return d, errHeavy
		}
	}
	if d.depth == 0 && !ended {
		return d, errNoObject
	}
	if d.last > 0 {
		d.body = append(d.out, body[d.last:]...)
	}
	return d, nil
}

func (d *document) open(at int, list bool) {
	d.weight += jsonObject
	outer, inner := &d.frames[d.depth-1], &d.frames[d.depth]
	*inner = frame{list: list, from: at}
	if list && !outer.list {
		inner.name = outer.name
	}
	switch {
	case outer.list && !list:
		inner.shape = outer.shape
		d.openElement(outer, inner)
	case !outer.list && outer.member != nil:
		inner.shape = outer.member.of
	}
	if list {
		inner.element, d.begins = jsonObject, true
		if numberLists[string(inner.name)] {
			inner.element = jsonNumber
		}
	}
}

func (d *document) openElement(list, element *frame) {
	if element.shape != nil && element.shape.item {
		d.points = 0
	}
	if name := string(list.name); name == "dataPoints" || name == "data_points" {
		d.points++
	}
	if d.below.depth == 0 {
		return
	}
	if itemLists[string(list.name)] {
		d.below.named++
	}
	if d.depth == d.below.depth+2 {
		d.below.direct++
	}
}

func (d *document) close(at int) {
	if f := &d.frames[d.depth]; d.wantItems && f.shape != nil && f.shape.item && !f.list {
		d.items = append(d.items, extent{f.from, at + 1, max(d.points, 1)})
	}
	d.depth = max(d.depth-1, 0)
	if d.below.depth > d.depth {
		d.countLost()
	}
}

func (d *document) next() {
	f := &d.frames[d.depth]
	if d.below.depth == d.depth {
		d.countLost()
	}
	if f.list {
		d.begins = f.element > 0
		return
	}
	f.name, f.member = nil, nil
}

func (d *document) countLost() {
	if d.below.named > 0 {
		d.lost += d.below.named
	} else {
		d.lost += d.below.direct
	}
	d.below = lostBelow{}
}

// readText returns where the text ends.
func (d *document) readText(at int) int {
	from := at
	for at++; at < len(d.body); at++ {
		for at < len(d.body) && !special[d.body[at]] {
			at++
		}
		if at >= len(d.body) || d.body[at] == '"' {
			break
		}
		if c := d.body[at]; c == '\\' {
			at++
		} else {
			// A line break within a text, as a shell writes it.
			d.edit(at, at+1, fmt.Sprintf(`\u%04x`, c))
		}
	}
	d.text = extent{from: from + 1, to: min(at, len(d.body))}
	if f := &d.frames[d.depth]; f.member != nil && !f.list {
		d.fitNumber(f, extent{from: from, to: min(at+1, len(d.body))}, d.body[d.text.from:d.text.to])
	}
	return at
}

// readToken returns where its last byte is.
func (d *document) readToken(at int) int {
	from := at
	for at < len(d.body) && !space(d.body[at]) && !delimits(d.body[at]) {
		at++
	}
	f, token := &d.frames[d.depth], d.body[from:at]
	switch {
	case string(token) == "NaN" || string(token) == "Infinity" || string(token) == "-Infinity":
		// Python's json writes them so.
		d.edit(from, at, strconv.Quote(string(token)))
	case f.member != nil && !f.list:
		d.fitNumber(f, extent{from: from, to: at}, token)
	}
	return max(at-1, from)
}

func (d *document) readName() {
	f := &d.frames[d.depth]
	if f.list {
		return
	}
	f.name, f.nameAt = d.body[d.text.from:d.text.to], d.text
	if f.shape == nil {
		return
	}
	if bytes.IndexByte(f.name, '\\') >= 0 {
		var plain string
		if json.Unmarshal(d.body[d.text.from-1:d.text.to+1], &plain) == nil {
			f.name = []byte(plain)
		}
	}
	if f.member = f.shape.members[string(f.name)]; f.member == nil {
		d.stranger(f)
	} else if f.member.renamed(f.name) {
		d.edit(d.text.from, d.text.to, f.member.name)
	}
}

func (d *document) stranger(f *frame) {
	d.unknown++
	if len(d.names) < maxNames {
		d.names = append(d.names, shown(string(f.name)))
	}
	if len(f.name) == 0 {
		// Upstream takes it for the end of the object.
		d.edit(d.text.from, d.text.to, "_")
	}
	if f.shape.holds && d.below.depth == 0 {
		d.below = lostBelow{depth: d.depth}
	}
}

// edit puts something else in the place of a part of the body, if that is behind what was edited before.
func (d *document) edit(from, to int, with string) {
	if from < d.last {
		return
	}
	if d.last == 0 {
		d.out = make([]byte, 0, len(d.body)+len(d.body)/8)
	}
	d.out = append(append(d.out, d.body[d.last:from]...), with...)
	d.last = to
	d.weight += len(with)
}

// What upstream reads lists of numbers from. Any other list is one of messages.
var numberLists = map[string]bool{
	"bucketCounts": true, "bucket_counts": true, "explicitBounds": true, "explicit_bounds": true,
}

// special is what may not stand for itself in a text.
var special = func() (bytes [256]bool) {
	for c := range ' ' {
		bytes[c] = true
	}
	bytes['"'], bytes['\\'] = true, true
	return bytes
}()

func delimits(c byte) bool {
	return c == ',' || c == ':' || c == '{' || c == '}' || c == '[' || c == ']' || c == '"'
}

func space(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
