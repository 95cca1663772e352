package redaction

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

const (
	// Mask is upstream's.
	mask = "****"
	// A match shows within so many bytes, or there is none; one that reaches the end of them is
	// looked at again with all that follows. It keeps 8 MB of "token=" from being a bomb.
	window = 256
	// Where there is none, it is looked for so far, as often as the text's own length allows: an IAM
	// token that is the password of a database's URL has 1,000 bytes before its @.
	farWindow = 4096
	// So many digits in a row have the shortest card and the shortest IBAN that are looked for.
	cardDigits = 14
	ibanDigits = 10
	// The receiver keeps so many bytes of a text (otel-stack/admission). Of one that it may have cut, the
	// last are masked unseen: a token that begins before them and is no longer is whole.
	receivedText = 64 << 10
	lastOfCut    = 1 << 10
)

// What a pattern's group is called says when it is masked: `secret` always, `mixed` where it has a
// digit, which words have not; a card and an IBAN with right check digits; a social security number
// has a path of its own for speed.
const (
	secret = "secret"
	mixed  = "mixed"
	card   = "card"
	iban   = "iban"
	ssn    = "ssn"
)

// span is a part of a text, from its first byte to behind its last.
type span struct{ from, to int }

type pattern struct {
	anchor
	number int
	// here matches at the beginning of a text; behindOne leaves one byte to what stands before, so
	// that ^ and \b see it; anywhere searches. Compiled when first needed: most never are, and all
	// would take 40 ms of the start and 7 MB.
	here, behindOne, anywhere func() *regexp.Regexp
	// edge: it begins with \b.
	edge bool
	// group is what gets masked; 0 is the whole match. kind is its name.
	group int
	kind  string
}

// matcher finds what a list of patterns matches, in one pass over a text.
type matcher struct {
	patterns []*pattern
	// Aho and Corasick's automaton: from a state and a class of bytes to the next state. Capital
	// ASCII letters are in the classes of their small ones.
	class  [256]uint8
	width  int
	next   []uint16
	ending [][]hit
	// numbers and slow have no letters of their own.
	numbers, slow []*pattern
}

// hit is one of a pattern's literals.
type hit struct {
	pattern *pattern
	length  int
}

func newMatcher(expressions []string) (*matcher, error) {
	m := &matcher{}
	var hits []hit
	var literals []string
	for _, expression := range expressions {
		p, tree, err := compile(expression)
		if err != nil {
			return nil, err
		}
		p.number = len(m.patterns)
		m.patterns = append(m.patterns, p)
		found, ok := anchorOf(tree)
		switch {
		case p.kind == card || p.kind == iban || p.kind == ssn:
			m.numbers = append(m.numbers, p)
		case !ok:
			m.slow = append(m.slow, p)
		default:
			p.anchor = found
			p.edge = p.edge && found.before == 0 && found.around == 0
			for _, literal := range found.literals {
				literals = append(literals, literal)
				hits = append(hits, hit{p, len(literal)})
			}
		}
	}
	return m, m.build(literals, hits)
}

func compile(expression string) (*pattern, *syntax.Regexp, error) {
	tree, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return nil, nil, err
	}
	p := &pattern{
		anywhere:  compiledOnce(expression),
		here:      compiledOnce(`\A(?:` + expression + `)`),
		behindOne: compiledOnce(`\A(?s:.)(?:` + expression + `)`),
		edge:      beginsAtWord(flatten(tree)[0]),
	}
	for i, name := range tree.CapNames() {
		if slices.Contains([]string{secret, mixed, card, iban, ssn}, name) {
			p.group, p.kind = i, name
		}
	}
	return p, tree, nil
}

func compiledOnce(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

func beginsAtWord(re *syntax.Regexp) bool {
	return re.Op == syntax.OpWordBoundary ||
		re.Op == syntax.OpAlternate && slices.ContainsFunc(re.Sub, beginsAtWord)
}

func (m *matcher) build(literals []string, hits []hit) error {
	// Class 0: a byte in no literal.
	m.width = 1
	for _, literal := range literals {
		for i := range len(literal) {
			b := literal[i]
			if m.class[b] != 0 {
				continue
			}
			m.class[b] = uint8(m.width)
			if 'a' <= b && b <= 'z' {
				m.class[b-'a'+'A'] = uint8(m.width)
			}
			m.width++
		}
	}
	trie := [][]uint16{make([]uint16, m.width)}
	m.ending = [][]hit{nil}
	for i, literal := range literals {
		state := uint16(0)
		for j := range len(literal) {
			class := m.class[literal[j]]
			if trie[state][class] == 0 {
				if len(trie) == 1<<16 {
					return fmt.Errorf("blocked_values: too many spellings (%d)", len(literals))
				}
				trie[state][class] = uint16(len(trie))
				trie = append(trie, make([]uint16, m.width))
				m.ending = append(m.ending, nil)
			}
			state = trie[state][class]
		}
		m.ending[state] = append(m.ending[state], hits[i])
	}
	fallback := make([]uint16, len(trie))
	var queue []uint16
	for _, state := range trie[0] {
		if state != 0 {
			queue = append(queue, state)
		}
	}
	for len(queue) > 0 {
		state := queue[0]
		queue = queue[1:]
		m.ending[state] = append(m.ending[state], m.ending[fallback[state]]...)
		for class, to := range trie[state] {
			if to == 0 {
				trie[state][class] = trie[fallback[state]][class]
				continue
			}
			fallback[to] = trie[fallback[state]][class]
			queue = append(queue, to)
		}
	}
	m.next = slices.Concat(trie...)
	return nil
}

// clean returns the text with its secrets masked, and whether there were any.
func (m *matcher) clean(text string) (string, bool) {
	found := m.find(text)
	if len(text) > receivedText-utf8.UTFMax && len(text) <= receivedText {
		// It was cut, and what was a token may be half of one that nothing finds.
		found = append(found, span{len(text) - lastOfCut, len(text)})
	}
	if len(found) == 0 {
		return text, false
	}
	return masked(text, found), true
}

// find returns the stretches to mask, in no order.
func (m *matcher) find(text string) (found []span) {
	// By pattern, how far it has matched: as in any search, it goes on behind a match.
	var done []int
	state, width, far := 0, m.width, len(text)
	for i := range len(text) {
		state = int(m.next[state*width+int(m.class[text[i]])])
		for _, h := range m.ending[state] {
			if !h.fits(text, i+1) {
				continue
			}
			if done == nil {
				done = make([]int, len(m.patterns))
			}
			match, end := h.pattern.try(text, i+1-h.length, i+1, done[h.pattern.number], &far)
			done[h.pattern.number] = max(done[h.pattern.number], end)
			if match.from < match.to {
				found = append(found, match)
			}
		}
	}
	if len(m.numbers) > 0 {
		there := numbersIn(text)
		for _, p := range m.numbers {
			if there.card && p.kind == card || there.iban && p.kind == iban || there.ssn && p.kind == ssn {
				found = p.search(text, found)
			}
		}
	}
	for _, p := range m.slow {
		found = p.search(text, found)
	}
	return found
}

// fits says whether what stands beside the letters that end here can be part of a match.
func (h hit) fits(text string, end int) bool {
	if right := h.pattern.right; right != nil && (end == len(text) || !right[text[end]]) {
		return false
	}
	from := end - h.length
	if h.pattern.edge && from > 0 && isWord(text[from]) && isWord(text[from-1]) {
		return false
	}
	return h.pattern.left == nil || from > 0 && h.pattern.left[text[from-1]]
}

// try returns what to mask where a pattern's letters stand from `from` to `end`, and where its match
// ends. What ends before `done` has been looked at; `far` is the bytes that may be read twice.
func (p *pattern) try(text string, from, end, done int, far *int) (span, int) {
	if from < done {
		return span{}, 0
	}
	if p.around > 0 {
		return p.near(text, max(done, from-p.around-1), min(len(text), end+window))
	}
	source, start, behindOne := p.here, from, false
	switch {
	case p.before > 0:
		least := max(done, from-p.before)
		for start > least && p.left[text[start-1]] {
			start--
		}
	case from > 0:
		source, start, behindOne = p.behindOne, from-1, true
	}
	expression := source()
	seen := min(len(text), end+window)
	at := expression.FindStringSubmatchIndex(text[start:seen])
	if at == nil && seen < len(text) && *far > 0 {
		seen = min(len(text), end+farWindow)
		*far -= seen - start
		at = expression.FindStringSubmatchIndex(text[start:seen])
	}
	if at != nil && start+at[1] == seen && seen < len(text) {
		at = expression.FindStringSubmatchIndex(text[start:])
	}
	if at == nil {
		return span{}, 0
	}
	return p.part(text, start, at, behindOne), start + at[1]
}

// near looks for a pattern whose letters stand in the middle of it.
func (p *pattern) near(text string, start, seen int) (span, int) {
	at := p.anywhere().FindStringSubmatchIndex(text[start:seen])
	if at == nil {
		return span{}, 0
	}
	return p.part(text, start, at, false), start + at[1]
}

// search is for patterns that have no letters.
func (p *pattern) search(text string, found []span) []span {
	for _, at := range p.anywhere().FindAllStringSubmatchIndex(text, -1) {
		if match := p.part(text, 0, at, false); match.from < match.to {
			found = append(found, match)
		}
	}
	return found
}

// part returns the stretch of a match that is secret; an empty one where none is.
func (p *pattern) part(text string, start int, at []int, behindOne bool) span {
	match := span{start + at[2*p.group], start + at[2*p.group+1]}
	switch {
	case at[2*p.group] < 0:
		return span{}
	case p.group == 0 && behindOne:
		match.from++
	case p.kind == card && !cardChecks(text[match.from:match.to]),
		p.kind == iban && !ibanChecks(text[match.from:match.to]),
		p.kind == mixed && !strings.ContainsAny(text[match.from:match.to], "0123456789"):
		return span{}
	case p.group != 0:
		match = unquoted(text, match)
	}
	return match
}

// unquoted leaves the quotes around a value where they are, and with them JSON readable.
func unquoted(text string, s span) span {
	value := text[s.from:s.to]
	inner := strings.TrimLeft(value, `\`)
	if inner == "" || (inner[0] != '"' && inner[0] != '\'') {
		return s
	}
	quote := inner[:1]
	s.from += len(value) - len(inner) + 1
	if s.to > s.from && text[s.to-1:s.to] == quote {
		s.to--
		for len(inner) < len(value) && s.to > s.from && text[s.to-1] == '\\' {
			s.to--
		}
	}
	return s
}

func masked(text string, found []span) string {
	slices.SortFunc(found, func(a, b span) int { return a.from - b.from })
	var clean strings.Builder
	clean.Grow(len(text))
	done := 0
	for i := 0; i < len(found); {
		whole := found[i]
		for i++; i < len(found) && found[i].from < whole.to; i++ {
			whole.to = max(whole.to, found[i].to)
		}
		clean.WriteString(text[done:whole.from])
		clean.WriteString(mask)
		done = whole.to
	}
	clean.WriteString(text[done:])
	return clean.String()
}

// numbers says what kinds of numbers there may be in a text.
type numbers struct{ card, iban, ssn bool }

// numbersIn finds candidates: a card is digits with at most three other bytes between two of them ("-",
// " ", "%20"); an IBAN has digits behind two capitals, and fewer in a row; a social security number
// has two of them between two hyphens.
func numbersIn(text string) (there numbers) {
	if len(text) < ibanDigits {
		return there
	}
	most, count, gap := 0, 0, 0
	capitals := false
	for i := range len(text) {
		if b := text[i]; '0' <= b && b <= '9' {
			if count == 0 && i > 1 && isCapital(text[i-1]) && isCapital(text[i-2]) {
				capitals = true
			}
			count++
			most = max(most, count)
			gap = 0
		} else if gap++; gap > 3 || b > '+' && b != '-' && b != '.' {
			count, gap = 0, 0
		} else if b == '-' && count >= 5 && text[i-3] == '-' && mayBeSSN(text, i-6) {
			there.ssn = true
		}
	}
	there.card, there.iban = most >= cardDigits, capitals && most >= ibanDigits
	return there
}

// mayBeSSN: ddd-dd-dddd from here, and no digit before but %22's; most that is between hyphens is a date.
func mayBeSSN(text string, from int) bool {
	if from < 0 || len(text) < from+11 {
		return false
	}
	if from > 0 && isDigit(text[from-1]) && (from < 3 || text[from-3] != '%') {
		return false
	}
	for _, i := range []int{0, 1, 2, 4, 5, 7, 8, 9, 10} {
		if !isDigit(text[from+i]) {
			return false
		}
	}
	return true
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

func isWord(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_'
}

func isCapital(b byte) bool { return 'A' <= b && b <= 'Z' }

// cardChecks computes Luhn's digit: one in ten numbers has it right, and every card.
func cardChecks(card string) bool {
	sum, place := 0, 0
	for i := len(card) - 1; i >= 0; i-- {
		if i >= 2 && card[i-2] == '%' {
			i -= 2
			continue
		}
		if card[i] < '0' || card[i] > '9' {
			continue
		}
		digit := int(card[i] - '0')
		if place%2 == 1 {
			if digit *= 2; digit > 9 {
				digit -= 9
			}
		}
		sum += digit
		place++
	}
	return place > 0 && sum%10 == 0
}

// ibanChecks computes the two digits behind the country's letters: one in 97 texts of that form has
// them right, and every IBAN.
func ibanChecks(iban string) bool {
	plain := strings.NewReplacer("%20", "", " ", "", "+", "").Replace(iban)
	if len(plain) < 4 {
		return false
	}
	rest := 0
	for _, b := range []byte(plain[4:] + plain[:4]) {
		if b <= '9' {
			rest = (rest*10 + int(b-'0')) % 97
		} else {
			rest = (rest*100 + int(b-'A') + 10) % 97
		}
	}
	return rest == 1
}
