package redaction

import (
	"slices"
	"strings"
	"testing"
)

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
