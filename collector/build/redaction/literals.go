package redaction

import (
	"regexp/syntax"
	"strings"
)

// Regular expressions are slow to search with (30 to 100 ns a byte). So each pattern is asked what
// letters a match cannot be without; these are looked for, all patterns' at once, and the pattern
// itself is tried only where they stand.

const (
	// How many spellings a pattern's letters may have: (a|b)[-_]?(c|d) has twelve.
	mostLiterals = 2048
	// A class with more members says nothing.
	mostMembers = 8
)

// anchor is what every match of a pattern holds.
type anchor struct {
	// literals in lower case: one of them stands in every match.
	literals []string
	// before is the most bytes of a match that can precede the literal, all of them in left; 0 where
	// the literal comes first.
	before int
	left   *[256]bool
	// around: so many bytes of a match precede the literal at most, where they are not all of one class.
	around int
	// right: what may stand behind the literal. nil where that is unknown.
	right *[256]bool
}

// anchorOf finds a pattern's letters; false where it has none, and has to be tried everywhere.
func anchorOf(re *syntax.Regexp) (anchor, bool) {
	nodes := flatten(re)
	if found, ok := anchorAt(nodes); ok {
		return found, true
	}
	// An e-mail's @ comes behind a run of letters of one class: from the @ back to where these end.
	run := nodes[0]
	if len(nodes) > 1 && run.Op == syntax.OpRepeat && run.Sub[0].Op == syntax.OpCharClass && run.Max > 0 {
		found, ok := anchorAt(nodes[1:])
		found.left = edge(nodes[:1], true)
		found.before = run.Max
		if ok && found.left != nil && oneByte(run.Sub[0]) {
			return found, true
		}
	}
	return anchorInside(nodes)
}

// anchorInside takes the longest letters that stand at most so far from the beginning.
func anchorInside(nodes []*syntax.Regexp) (best anchor, ok bool) {
	around := 0
	for i := range nodes[:len(nodes)-1] {
		length, bounded := longest(nodes[i])
		if around += length; !bounded {
			break
		}
		found, any := anchorAt(nodes[i+1:])
		if any && (!ok || shortest(found.literals) > shortest(best.literals)) {
			found.around = around
			found.left = edge(nodes[:i+1], true)
			best, ok = found, true
		}
	}
	return best, ok
}

// longest is the most bytes of a match; false where there is no such number.
func longest(re *syntax.Regexp) (int, bool) {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpWordBoundary, syntax.OpNoWordBoundary, syntax.OpBeginText, syntax.OpEndText:
		return 0, true
	case syntax.OpLiteral:
		return len(string(re.Rune)), isASCII(string(re.Rune))
	case syntax.OpCharClass:
		for i := 0; i < len(re.Rune); i += 2 {
			// (?i) adds these two to s and k; no name is spelt so.
			if high := re.Rune[i+1]; high >= 0x80 && high != 'ſ' && high != '\u212a' {
				return 0, false
			}
		}
		return 1, true
	case syntax.OpRepeat:
		length, bounded := longest(re.Sub[0])
		return re.Max * length, bounded && re.Max >= 0
	case syntax.OpQuest, syntax.OpCapture:
		return longest(re.Sub[0])
	case syntax.OpConcat, syntax.OpAlternate:
		sum, most := 0, 0
		for _, sub := range re.Sub {
			length, bounded := longest(sub)
			if !bounded {
				return 0, false
			}
			sum, most = sum+length, max(most, length)
		}
		if re.Op == syntax.OpConcat {
			return sum, true
		}
		return most, true
	default:
		return 0, false
	}
}

func anchorAt(nodes []*syntax.Regexp) (anchor, bool) {
	literals, used, exact := leading(nodes)
	if shortest(literals) == 0 {
		return anchor{}, false
	}
	found := anchor{literals: literals}
	if exact {
		found.right = edge(nodes[used:], false)
	}
	return found, true
}

func flatten(re *syntax.Regexp) []*syntax.Regexp {
	switch re.Op {
	case syntax.OpCapture:
		return flatten(re.Sub[0])
	case syntax.OpConcat:
		var all []*syntax.Regexp
		for _, sub := range re.Sub {
			all = append(all, flatten(sub)...)
		}
		return all
	default:
		return []*syntax.Regexp{re}
	}
}

// leading returns the texts that one of begins whatever nodes match. exact: they are all that the
// first `used` nodes match, and nothing of the next is in them.
func leading(nodes []*syntax.Regexp) (literals []string, used int, exact bool) {
	literals = []string{""}
	for _, node := range nodes {
		next, whole := prefixes(node)
		product, fits := cross(literals, next)
		if !fits {
			break
		}
		if !whole {
			return product, used, shortest(next) == 0 && len(next) == 1
		}
		literals = product
		used++
	}
	return literals, used, true
}

// prefixes returns the texts that one of begins every match; whole: they are all the matches.
func prefixes(re *syntax.Regexp) (literals []string, whole bool) {
	unknown := []string{""}
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginText, syntax.OpBeginLine, syntax.OpEndText,
		syntax.OpEndLine, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return unknown, true
	case syntax.OpLiteral:
		text := string(re.Rune)
		if re.Flags&syntax.FoldCase != 0 && !isASCII(text) {
			return unknown, false
		}
		return []string{lowered(text)}, true
	case syntax.OpCharClass:
		members := classMembers(re)
		if members == nil {
			return unknown, false
		}
		return members, true
	case syntax.OpCapture, syntax.OpConcat:
		literals, used, exact := leading(flatten(re))
		return literals, exact && used == len(flatten(re))
	case syntax.OpAlternate:
		whole = true
		for _, sub := range re.Sub {
			some, all := prefixes(sub)
			literals = append(literals, some...)
			whole = whole && all
		}
		if len(literals) > mostLiterals {
			return unknown, false
		}
		return unique(literals), whole
	case syntax.OpQuest:
		some, all := prefixes(re.Sub[0])
		return unique(append(some, "")), all
	case syntax.OpPlus:
		some, _ := prefixes(re.Sub[0])
		return some, false
	case syntax.OpRepeat:
		some, all := prefixes(re.Sub[0])
		if re.Min == 0 {
			return unknown, false
		}
		if !all {
			return some, false
		}
		product, fits := some, true
		for i := 1; i < re.Min; i++ {
			if product, fits = cross(product, some); !fits {
				return some, false
			}
		}
		return product, re.Min == re.Max
	default:
		return unknown, false
	}
}

func classMembers(re *syntax.Regexp) []string {
	var members []string
	for i := 0; i < len(re.Rune); i += 2 {
		for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
			switch {
			// (?i) adds these two to s and k; no name is spelt so.
			case r == 'ſ' || r == '\u212a':
				continue
			case r >= 0x80 || len(members) == mostMembers:
				return nil
			}
			members = append(members, lowered(string(r)))
		}
	}
	return unique(members)
}

// lowered folds what the automaton folds: ASCII.
func lowered(text string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, text)
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}

func cross(left, right []string) ([]string, bool) {
	if len(left)*len(right) > mostLiterals {
		return nil, false
	}
	product := make([]string, 0, len(left)*len(right))
	for _, a := range left {
		for _, b := range right {
			product = append(product, a+b)
		}
	}
	return unique(product), true
}

func unique(all []string) []string {
	seen := make(map[string]bool, len(all))
	kept := all[:0:0]
	for _, one := range all {
		if !seen[one] {
			seen[one] = true
			kept = append(kept, one)
		}
	}
	return kept
}

func shortest(all []string) int {
	least := len(all[0])
	for _, one := range all {
		least = min(least, len(one))
	}
	return least
}

// edge returns the bytes that the outermost node of a sequence can show; nil where any can.
func edge(nodes []*syntax.Regexp, last bool) *[256]bool {
	var bytes [256]bool
	for i := range nodes {
		node := nodes[i]
		if last {
			node = nodes[len(nodes)-1-i]
		}
		known, empty := addEdge(node, last, &bytes)
		if !known {
			return nil
		}
		if !empty {
			return &bytes
		}
	}
	// It can match nothing at all, so anything may stand there.
	return nil
}

func addEdge(re *syntax.Regexp, last bool, bytes *[256]bool) (known, empty bool) {
	switch re.Op {
	case syntax.OpLiteral:
		r := re.Rune[0]
		if last {
			r = re.Rune[len(re.Rune)-1]
		}
		addRange(bytes, r, r)
		if re.Flags&syntax.FoldCase != 0 {
			for _, same := range []string{strings.ToLower(string(r)), strings.ToUpper(string(r))} {
				first := []rune(same)[0]
				addRange(bytes, first, first)
			}
		}
		return true, false
	case syntax.OpCharClass:
		for i := 0; i < len(re.Rune); i += 2 {
			addRange(bytes, re.Rune[i], re.Rune[i+1])
		}
		return true, false
	case syntax.OpStar, syntax.OpQuest:
		known, _ = addEdge(re.Sub[0], last, bytes)
		return known, true
	case syntax.OpPlus:
		return addEdge(re.Sub[0], last, bytes)
	case syntax.OpRepeat:
		known, empty = addEdge(re.Sub[0], last, bytes)
		return known, empty || re.Min == 0
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			subKnown, subEmpty := addEdge(sub, last, bytes)
			if !subKnown {
				return false, false
			}
			empty = empty || subEmpty
		}
		return true, empty
	case syntax.OpCapture, syntax.OpConcat:
		all := flatten(re)
		for i := range all {
			node := all[i]
			if last {
				node = all[len(all)-1-i]
			}
			known, empty = addEdge(node, last, bytes)
			if !known || !empty {
				return known, false
			}
		}
		return true, true
	case syntax.OpEmptyMatch:
		return true, true
	default:
		return false, false
	}
}

func addRange(bytes *[256]bool, low, high rune) {
	for r := low; r <= high && r < 0x80; r++ {
		bytes[r] = true
	}
	if high >= 0x80 {
		for b := 0x80; b < 0x100; b++ {
			bytes[b] = true
		}
	}
}

// oneByte says whether every member of a class is one byte long.
func oneByte(class *syntax.Regexp) bool {
	return len(class.Rune) > 0 && class.Rune[len(class.Rune)-1] < 0x80
}
