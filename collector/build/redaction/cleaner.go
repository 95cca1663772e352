package redaction

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// Names repeat from span to span: what the patterns say of one is remembered, for so many.
const mostNames = 4096

// In place of bytes that are no UTF-8.
const replacement = "\ufffd"

// What is to be done with a named value.
type verdict uint8

const (
	look verdict = iota
	pass
	hide
	remove
)

type cleaner struct {
	config  *Config
	values  *matcher
	allowed []*regexp.Regexp
	ignored []*regexp.Regexp
	blocked []*regexp.Regexp

	lock  sync.RWMutex
	names map[string]verdict
}

func newCleaner(config *Config) (*cleaner, error) {
	known, err := rulesOfOthers()
	if err != nil {
		return nil, err
	}
	values, err := newMatcher(slices.Concat(config.BlockedValues, known))
	if err != nil {
		return nil, fmt.Errorf("blocked_values: %w", err)
	}
	return &cleaner{
		config:  config,
		values:  values,
		allowed: compiled(config.AllowedValues),
		ignored: compiled(config.IgnoredKeyPatterns),
		blocked: compiled(config.BlockedKeyPatterns),
		names:   map[string]verdict{},
	}, nil
}

// compiled takes what Validate has seen.
func compiled(patterns []string) []*regexp.Regexp {
	all := make([]*regexp.Regexp, 0, len(patterns))
	for _, pattern := range patterns {
		all = append(all, regexp.MustCompile(pattern))
	}
	return all
}

func matches(patterns []*regexp.Regexp, text string) bool {
	return slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(text) })
}

// of returns the verdict on a name. AllowedKeys are about an attribute, not about what it holds.
func (c *cleaner) of(name string, nested bool) verdict {
	c.lock.RLock()
	known, ok := c.names[name]
	c.lock.RUnlock()
	if !ok {
		known = c.judge(name)
		c.lock.Lock()
		if len(c.names) < mostNames {
			c.names[name] = known
		}
		c.lock.Unlock()
	}
	if known == remove && nested {
		return look
	}
	return known
}

func (c *cleaner) judge(name string) verdict {
	switch {
	case slices.Contains(c.config.IgnoredKeys, name) || matches(c.ignored, name):
		return pass
	case matches(c.blocked, name):
		return hide
	case !c.config.AllowAllKeys && !slices.Contains(c.config.AllowedKeys, name):
		return remove
	default:
		return look
	}
}

func (c *cleaner) text(text string) (string, bool) {
	clean, changed := c.values.clean(text)
	if changed && matches(c.allowed, text) {
		return text, false
	}
	return clean, changed
}

// in puts the clean text back where it was read. Upstream lets through what is no UTF-8; then whoever
// decodes protobuf by its rules refuses the whole batch, with what others sent.
func (c *cleaner) in(text string, put func(string)) {
	valid := utf8.ValidString(text)
	if !valid {
		text = strings.ToValidUTF8(text, replacement)
	}
	if clean, changed := c.text(text); changed || !valid {
		put(clean)
	}
}

func (c *cleaner) attributes(all pcommon.Map) { c.named(all, false) }

func (c *cleaner) named(all pcommon.Map, nested bool) {
	removing := false
	var misspelt []string
	for name, value := range all.All() {
		if !utf8.ValidString(name) {
			misspelt = append(misspelt, name)
		}
		switch c.of(name, nested) {
		case hide:
			value.SetStr(mask)
		case look:
			c.value(value)
		case remove:
			removing = true
		case pass:
		}
	}
	if removing {
		all.RemoveIf(func(name string, _ pcommon.Value) bool { return c.of(name, nested) == remove })
	}
	for _, name := range misspelt {
		rename(all, name, strings.ToValidUTF8(name, replacement))
	}
}

func rename(all pcommon.Map, from, to string) {
	value, found := all.Get(from)
	if !found {
		return
	}
	kept := pcommon.NewValueEmpty()
	value.CopyTo(kept)
	all.Remove(from)
	kept.CopyTo(all.PutEmpty(to))
}

func (c *cleaner) value(value pcommon.Value) {
	switch value.Type() {
	case pcommon.ValueTypeStr:
		c.in(value.Str(), value.SetStr)
	case pcommon.ValueTypeMap:
		c.named(value.Map(), true)
	case pcommon.ValueTypeSlice:
		for _, item := range value.Slice().All() {
			c.value(item)
		}
	case pcommon.ValueTypeBytes:
		if clean, changed := c.text(string(value.Bytes().AsRaw())); changed {
			value.Bytes().FromRaw([]byte(clean))
		}
	case pcommon.ValueTypeInt:
		// A card that was taken for a number.
		if number := value.Int(); number >= 1e13 {
			c.in(strconv.FormatInt(number, 10), value.SetStr)
		}
	}
}
