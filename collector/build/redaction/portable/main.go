// Command portable rewrites gitleaks' expressions so that Go, Python and JavaScript read them alike:
// no flags inside, no group but the one that is masked. It reads and writes JSON: tools/secret_rules.py
// runs it.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"regexp/syntax"
	"slices"
	"strings"
)

const (
	// A token begins at a word's beginning, or behind a sign that is URL-encoded: " & , ' ; = ?
	begins = `(?:\b|%2[26C7]|%3[BDF])`
	// gitleaks wants a quote, a blank or a semicolon behind a token. In a sentence, a URL or a list
	// others stand there; but favicon.ico-….png is a file.
	ends = `\.?(?:[^\w.~-]|$)`
	// A token that begins with fewer letters of its own may be a word.
	telling = 2
)

type rule struct {
	ID       string   `json:"id"`
	Keywords []string `json:"keywords"`
	Pattern  string   `json:"pattern"`
	// What it looks for may be a word whatever it begins with.
	Wordy bool `json:"wordy,omitempty"`
}

func main() {
	var rules, written []rule
	if err := json.NewDecoder(os.Stdin).Decode(&rules); err != nil {
		log.Fatal(err)
	}
	for _, one := range rules {
		patterns, err := portable(one.Pattern, one.Wordy)
		if err != nil {
			log.Fatalf("%s: %v", one.ID, err)
		}
		for _, pattern := range patterns {
			written = append(written, rule{ID: one.ID, Keywords: one.Keywords, Pattern: pattern})
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(written); err != nil {
		log.Fatal(err)
	}
}

// portable returns one pattern for each alternative at the top.
func portable(expression string, wordy bool) ([]string, error) {
	tree, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return nil, err
	}
	alternatives := []*syntax.Regexp{tree}
	if tree.Op == syntax.OpAlternate {
		alternatives = tree.Sub
	}
	var patterns []string
	for _, one := range alternatives {
		pattern, err := pattern(parts(one), wordy)
		if err != nil {
			return nil, err
		}
		patterns = append(patterns, pattern)
	}
	return patterns, nil
}

// parts is a sequence without the names before a keyword, which change nothing.
func parts(re *syntax.Regexp) []*syntax.Regexp {
	nodes := sequence(re)
	for len(nodes) > 0 && nodes[0].Op == syntax.OpRepeat && nodes[0].Min == 0 {
		nodes = nodes[1:]
	}
	return nodes
}

func sequence(re *syntax.Regexp) []*syntax.Regexp {
	if re.Op != syntax.OpConcat {
		return []*syntax.Regexp{re}
	}
	var all []*syntax.Regexp
	for _, sub := range re.Sub {
		all = append(all, sequence(sub)...)
	}
	return all
}

func pattern(nodes []*syntax.Regexp, wordy bool) (string, error) {
	head, tail := "", ""
	if nodes[0].Op == syntax.OpWordBoundary {
		head, nodes = begins, nodes[1:]
	}
	last := nodes[len(nodes)-1]
	if last.Op == syntax.OpAlternate && reachesEnd(last) || last.Op == syntax.OpWordBoundary {
		tail, nodes = ends, nodes[:len(nodes)-1]
	}
	secret := longest(nodes)
	folded := true
	for _, node := range nodes {
		folded = folded && anyCase(node)
	}
	p := printer{folded: folded}
	if secret < 0 {
		head += "(?P<secret>"
		tail = ")" + tail
	}
	p.text.WriteString(head)
	for i, node := range nodes {
		switch {
		case i != secret:
			p.print(node)
		case wordy || i > 0 && prefix(node) < telling && spells(node):
			p.group("mixed", node)
		default:
			p.group("secret", node)
		}
	}
	p.text.WriteString(tail)
	text := p.text.String()
	if folded {
		text = "(?i)" + text
	}
	_, err := syntax.Parse(text, syntax.Perl)
	return text, errorOf(err, p.err)
}

func errorOf(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

func reachesEnd(re *syntax.Regexp) bool {
	for _, sub := range re.Sub {
		if sub.Op == syntax.OpEndText {
			return true
		}
	}
	return false
}

// longest is the place of the group that holds the secret; -1: it is all of it.
func longest(nodes []*syntax.Regexp) int {
	place, most := -1, 0
	for i, node := range nodes {
		if node.Op == syntax.OpCapture && least(node) > most {
			place, most = i, least(node)
		}
	}
	return place
}

// least is the fewest bytes of a match.
func least(re *syntax.Regexp) int {
	sum := func() (all int) {
		for _, sub := range re.Sub {
			all += least(sub)
		}
		return all
	}
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpRepeat:
		return re.Min * sum()
	case syntax.OpCapture, syntax.OpConcat, syntax.OpPlus:
		return sum()
	case syntax.OpAlternate:
		fewest := least(re.Sub[0])
		for _, sub := range re.Sub[1:] {
			fewest = min(fewest, least(sub))
		}
		return fewest
	default:
		return 0
	}
}

// prefix is how many letters of its own every match begins with.
func prefix(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpCapture, syntax.OpPlus:
		return prefix(re.Sub[0])
	case syntax.OpConcat:
		return prefix(re.Sub[0])
	case syntax.OpAlternate:
		fewest := prefix(re.Sub[0])
		for _, sub := range re.Sub[1:] {
			fewest = min(fewest, prefix(sub))
		}
		return fewest
	default:
		return 0
	}
}

// spells says whether words can be written with a node's letters: not with hexadecimal ones.
func spells(re *syntax.Regexp) bool {
	if re.Op == syntax.OpCharClass {
		members := ascii(re)
		return members['n'] || members['N']
	}
	return slices.ContainsFunc(re.Sub, spells)
}

// anyCase says whether all letters of a node match in both cases.
func anyCase(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpLiteral:
		return re.Flags&syntax.FoldCase != 0 || strings.ToLower(string(re.Rune)) == strings.ToUpper(string(re.Rune))
	case syntax.OpCharClass:
		members := ascii(re)
		for b := 'a'; b <= 'z'; b++ {
			if members[b] != members[b-'a'+'A'] {
				return false
			}
		}
	}
	for _, sub := range re.Sub {
		if !anyCase(sub) {
			return false
		}
	}
	return true
}

func ascii(class *syntax.Regexp) (members [128]bool) {
	for i := 0; i < len(class.Rune); i += 2 {
		for r := class.Rune[i]; r <= class.Rune[i+1] && r < 128; r++ {
			members[r] = true
		}
	}
	return members
}

type printer struct {
	text strings.Builder
	// The whole pattern is (?i): small letters say all.
	folded bool
	err    error
}

func (p *printer) group(name string, capture *syntax.Regexp) {
	p.text.WriteString("(?P<" + name + ">")
	p.print(capture.Sub[0])
	p.text.WriteString(")")
}

func (p *printer) print(re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpEmptyMatch:
	case syntax.OpLiteral:
		p.literal(re)
	case syntax.OpCharClass:
		p.class(re)
	case syntax.OpAnyChar:
		p.text.WriteString(`[\s\S]`)
	case syntax.OpAnyCharNotNL:
		p.text.WriteString(`[^\n]`)
	case syntax.OpBeginText:
		p.text.WriteString("^")
	case syntax.OpEndText:
		p.text.WriteString("$")
	case syntax.OpWordBoundary:
		p.text.WriteString(`\b`)
	case syntax.OpCapture:
		p.atom(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if sub.Op == syntax.OpAlternate {
				p.atom(sub)
			} else {
				p.print(sub)
			}
		}
	case syntax.OpAlternate:
		p.alternate(re)
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		p.repeat(re)
	default:
		p.err = fmt.Errorf("unknown to this: %s", re)
	}
}

func (p *printer) alternate(re *syntax.Regexp) {
	p.text.WriteString("(?:")
	for i, sub := range re.Sub {
		if i > 0 {
			p.text.WriteString("|")
		}
		p.print(sub)
	}
	p.text.WriteString(")")
}

func (p *printer) atom(re *syntax.Regexp) {
	single := re.Op == syntax.OpCharClass || re.Op == syntax.OpAlternate || re.Op == syntax.OpAnyChar ||
		re.Op == syntax.OpCapture || re.Op == syntax.OpLiteral && len(re.Rune) == 1
	if single {
		p.print(re)
		return
	}
	p.text.WriteString("(?:")
	p.print(re)
	p.text.WriteString(")")
}

func (p *printer) repeat(re *syntax.Regexp) {
	p.atom(re.Sub[0])
	switch {
	case re.Op == syntax.OpStar:
		p.text.WriteString("*")
	case re.Op == syntax.OpPlus:
		p.text.WriteString("+")
	case re.Op == syntax.OpQuest:
		p.text.WriteString("?")
	case re.Max < 0:
		fmt.Fprintf(&p.text, "{%d,}", re.Min)
	case re.Min == re.Max:
		fmt.Fprintf(&p.text, "{%d}", re.Min)
	default:
		fmt.Fprintf(&p.text, "{%d,%d}", re.Min, re.Max)
	}
	if re.Flags&syntax.NonGreedy != 0 {
		p.text.WriteString("?")
	}
}

func (p *printer) literal(re *syntax.Regexp) {
	for _, r := range re.Rune {
		text := strings.ToLower(string(r))
		switch upper := strings.ToUpper(text); {
		case upper == text || re.Flags&syntax.FoldCase == 0 && !p.folded:
			p.text.WriteString(escaped(r))
		case p.folded:
			p.text.WriteString(text)
		default:
			p.text.WriteString("[" + upper + text + "]")
		}
	}
}

func escaped(r rune) string {
	switch {
	case strings.ContainsRune(`\.+*?()|[]{}^$`, r):
		return `\` + string(r)
	case r == '\n':
		return `\n`
	default:
		return string(r)
	}
}

const (
	words  = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
	blanks = "\t\n\f\r "
)

func (p *printer) class(re *syntax.Regexp) {
	members := ascii(re)
	negated := re.Rune[len(re.Rune)-1] > 0x7f && re.Rune[len(re.Rune)-1] != '\u212a'
	if negated {
		for i := range members {
			members[i] = !members[i]
		}
	}
	var inner strings.Builder
	for _, short := range []struct{ name, all string }{{`\w`, words}, {`\s`, blanks}} {
		whole := true
		for _, b := range short.all {
			whole = whole && members[b]
		}
		if whole {
			inner.WriteString(short.name)
			for _, b := range short.all {
				members[b] = false
			}
		}
	}
	if p.folded {
		for b := 'A'; b <= 'Z'; b++ {
			members[b] = false
		}
	}
	for b := 0; b < 128; b++ {
		if !members[b] {
			continue
		}
		last := b
		for last+1 < 128 && members[last+1] {
			last++
		}
		inner.WriteString(inClass(b))
		if last > b+1 {
			inner.WriteString("-")
		}
		if last > b {
			inner.WriteString(inClass(last))
		}
		b = last
	}
	text := inner.String()
	switch {
	case negated:
		p.text.WriteString("[^" + text + "]")
	case text == `\w` || text == `\s`:
		p.text.WriteString(text)
	case text == "0-9":
		p.text.WriteString(`\d`)
	default:
		p.text.WriteString("[" + text + "]")
	}
}

func inClass(b int) string {
	switch b {
	case '\t':
		return `\t`
	case '\n':
		return `\n`
	case '\f':
		return `\f`
	case '\r':
		return `\r`
	case '\\', ']', '[', '^', '-':
		return `\` + string(rune(b))
	default:
		return string(rune(b))
	}
}
