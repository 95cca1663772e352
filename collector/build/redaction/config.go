// Package redaction takes the place of upstream's `redaction` processor, under its name and its
// keys. It looks where upstream's does not (names, events, links, tracestate, status, exemplars,
// nested values), costs a tenth, and masks only the value where a pattern names it
// (docs/decisions/0013).
package redaction

import (
	"errors"
	"fmt"
	"regexp"
)

// Config has those of upstream's keys that this build knows; any other is refused at the start.
type Config struct {
	// AllowAllKeys: false keeps only the attributes that AllowedKeys or IgnoredKeys name.
	AllowAllKeys bool     `mapstructure:"allow_all_keys"`
	AllowedKeys  []string `mapstructure:"allowed_keys"`
	// IgnoredKeys and IgnoredKeyPatterns: attributes that pass untouched.
	IgnoredKeys        []string `mapstructure:"ignored_keys"`
	IgnoredKeyPatterns []string `mapstructure:"ignored_key_patterns"`
	// BlockedKeyPatterns: names, at any depth, whose values are secret whatever they hold.
	BlockedKeyPatterns []string `mapstructure:"blocked_key_patterns"`
	// BlockedValues: what is masked in any text. A group `secret` narrows it to the value; what a
	// group `card` or `iban` holds is masked only when its check digits are right.
	BlockedValues []string `mapstructure:"blocked_values"`
	// AllowedValues: a text that matches passes whole.
	AllowedValues []string `mapstructure:"allowed_values"`
	// Summary: only `silent`. A list of what was masked would say where secrets are.
	Summary string `mapstructure:"summary"`
}

// Validate names the first pattern that is none, and refuses to clean by none at all: that is a config
// that was read without its redaction.yaml.
func (c *Config) Validate() error {
	if len(c.BlockedKeyPatterns) == 0 && len(c.BlockedValues) == 0 {
		return errors.New(
			"neither blocked_key_patterns nor blocked_values: add --config=collector/redaction.yaml")
	}
	for key, patterns := range map[string][]string{
		"ignored_key_patterns": c.IgnoredKeyPatterns,
		"blocked_key_patterns": c.BlockedKeyPatterns,
		"blocked_values":       c.BlockedValues,
		"allowed_values":       c.AllowedValues,
	} {
		for _, pattern := range patterns {
			if _, err := regexp.Compile(pattern); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	if c.Summary != "" && c.Summary != "silent" {
		return errors.New("summary: this build knows only `silent`")
	}
	return nil
}
