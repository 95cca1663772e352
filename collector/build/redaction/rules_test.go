package redaction

import (
	"math/rand/v2"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"
)

// drawn is a text that the expression matches.
func drawn(re *syntax.Regexp, random *rand.Rand) string {
	var text strings.Builder
	repeat := func(least, most int) {
		for range least + random.IntN(most-least+1) {
			text.WriteString(drawn(re.Sub[0], random))
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		text.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		for text.Len() == 0 {
			at := 2 * random.IntN(len(re.Rune)/2)
			r := re.Rune[at] + rune(random.IntN(int(re.Rune[at+1]-re.Rune[at])+1))
			if r >= ' ' && r < 0x7f {
				text.WriteRune(r)
			}
		}
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			text.WriteString(drawn(sub, random))
		}
	case syntax.OpAlternate:
		text.WriteString(drawn(re.Sub[random.IntN(len(re.Sub))], random))
	case syntax.OpStar:
		repeat(0, 3)
	case syntax.OpPlus:
		repeat(1, 4)
	case syntax.OpQuest:
		repeat(0, 1)
	case syntax.OpRepeat:
		most := re.Max
		if most < 0 {
			most = re.Min + 3
		}
		repeat(re.Min, most)
	}
	return text.String()
}

// What a rule's expression finds, the automaton finds by the rule's letters, wherever it stands.
func TestARuleIsFoundByItsLetters(t *testing.T) {
	all, err := rules()
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(8, 28))
	tried := 0
	for _, one := range all {
		p, tree, err := compile(one.Pattern)
		if err != nil {
			t.Fatal(err)
		}
		fast, err := newMatcher([]string{one.Pattern})
		if err != nil {
			t.Fatal(err)
		}
		for range 40 {
			token := drawn(tree, random)
			for _, text := range []string{token, "it was " + token + " that leaked", `{"x":"` + token + `","n":1}`, "q=%22" + token + "%22&n=1"} {
				want := text
				if found := p.search(text, nil); found != nil {
					want = masked(text, found)
					tried++
				}
				if got, _ := fast.clean(text); got != want && !overlapping(text, p) {
					t.Fatalf("%s: %q: %q, not %q", one.ID, text, got, want)
				}
			}
		}
	}
	t.Logf("%d texts with a token, of %d rules", tried, len(all))
	if tried < 20000 {
		t.Errorf("only %d texts had a token", tried)
	}
}

// Each rule has letters of its own to look for, so that a text without them costs nothing; and they
// hold one of its keywords, which the services and the page look for in their place.
func TestEachRuleHasLettersAndAKeyword(t *testing.T) {
	all, err := rules()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		_, tree, err := compile(one.Pattern)
		if err != nil {
			t.Fatalf("%s: %v", one.ID, err)
		}
		found, ok := anchorOf(tree)
		if !ok || shortest(found.literals) < 2 && found.left == nil {
			t.Errorf("%s has to be tried (nearly) everywhere: %q", one.ID, found.literals)
		}
		if len(one.Keywords) == 0 {
			t.Errorf("%s has no keyword", one.ID)
		}
		for _, literal := range found.literals {
			held := func(keyword string) bool {
				return strings.Contains(literal, keyword) || strings.Contains(strings.ToLower(one.Pattern), keyword)
			}
			if !slices.ContainsFunc(one.Keywords, held) {
				t.Errorf("%s: a text with %q need not have one of %q", one.ID, literal, one.Keywords)
			}
		}
	}
}
