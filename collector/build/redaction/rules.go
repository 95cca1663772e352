package redaction

import (
	_ "embed"
	"encoding/json"
	"fmt"
)

// gitleaks' rules (MIT), as tools/secret_rules.py writes them; `make patterns` hands them on to the
// services and the page.
//
//go:embed gitleaks.json
var gitleaks []byte

type rule struct {
	ID       string   `json:"id"`
	Keywords []string `json:"keywords"`
	Pattern  string   `json:"pattern"`
}

func rules() ([]rule, error) {
	var file struct {
		Rules []rule `json:"rules"`
	}
	if err := json.Unmarshal(gitleaks, &file); err != nil {
		return nil, fmt.Errorf("gitleaks.json: %w", err)
	}
	return file.Rules, nil
}

// rulesOfOthers are masked beside what the config names.
func rulesOfOthers() ([]string, error) {
	all, err := rules()
	if err != nil {
		return nil, err
	}
	patterns := make([]string, 0, len(all))
	for _, one := range all {
		patterns = append(patterns, one.Pattern)
	}
	return patterns, nil
}
