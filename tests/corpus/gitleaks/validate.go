// This takes the place of gitleaks' own file: in place of trying each rule on its samples, it writes
// them down, with what of each is the secret.
package utils

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/zricethezav/gitleaks/v8/config"
)

type sample struct {
	Rule string `json:"rule"`
	Text string `json:"text"`
	// Secret: gitleaks finds one in it.
	Secret  bool     `json:"secret"`
	Secrets []string `json:"secrets"`
}

var written = json.NewEncoder(os.Stdout)

func Validate(rule config.Rule, truePositives []string, falsePositives []string) *config.Rule {
	write(&rule, truePositives, true)
	write(&rule, falsePositives, false)
	return &rule
}

func ValidateWithPaths(rule config.Rule, truePositives map[string]string, falsePositives map[string]string) *config.Rule {
	write(&rule, texts(truePositives), true)
	write(&rule, texts(falsePositives), false)
	return &rule
}

func texts(byPath map[string]string) (all []string) {
	for _, text := range byPath {
		all = append(all, text)
	}
	return all
}

func write(r *config.Rule, texts []string, secret bool) {
	if r.Regex == nil {
		return
	}
	texts = slices.Clone(texts)
	slices.Sort(texts)
	for _, text := range texts {
		if err := written.Encode(sample{r.RuleID, text, secret, secretsIn(r, text)}); err != nil {
			panic(err)
		}
	}
}

// secretsIn finds what gitleaks' detector finds. Where that reports a group of a few letters (the first:
// `token` of sonarToken, a part of a webhook's UUID), it is the longest one, or all of the match.
func secretsIn(r *config.Rule, text string) (found []string) {
	for _, groups := range r.Regex.FindAllStringSubmatch(text, -1) {
		secret := ""
		for _, group := range groups[1:] {
			if len(group) > len(secret) {
				secret = group
			}
		}
		if len(secret) < 8 {
			secret = strings.Trim(groups[0], "\n")
		}
		if r.Entropy == 0 || entropy(secret) > r.Entropy {
			found = append(found, secret)
		}
	}
	return found
}

func entropy(text string) (bits float64) {
	counts := map[rune]int{}
	for _, r := range text {
		counts[r]++
	}
	for _, count := range counts {
		share := float64(count) / float64(len(text))
		bits -= share * math.Log2(share)
	}
	return bits
}
