// Package names fits names to what AWS takes.
//
// A service has one name at all of AWS's vendors: it is a log stream (`[^:*]*`, 512 characters), the
// value of a metric's dimension (printable ASCII, 1024) and a segment's name (letters, digits, white
// space and `_.:/%&#=+\-@`, 200). What one of them forbids is replaced for all of them, so that a
// search for a service finds its logs, metrics and traces. The SDKs' own default,
// `unknown_service:java`, is no stream: AWS would refuse all of that service's logs and metrics.
package names

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

const (
	// Service is the resource attribute that names a service.
	Service = "service.name"
	// Original is appended to an attribute's name where its value was changed.
	Original = ".original"
	// Unknown is OpenTelemetry's name for a service that has none.
	Unknown = "unknown_service"

	maxSegment   = 200
	maxStream    = 512
	maxDimension = 1024
	// Of the digits that tell apart what would be equal.
	digits = 8
)

// ForService fits a service's name to all vendors at once. Each character that one of them forbids
// becomes `_`. Where that takes letters or digits away, or the end of the name, digits of the whole
// name's hash follow: `прод` and `тест` stay two services. `a:b` and `a*b` do not.
func ForService(name string) string {
	if strings.TrimSpace(name) == "" {
		return Unknown
	}
	return fit(name, maxSegment, utf8.RuneLen, func(r rune) bool {
		return r < utf8.RuneSelf && r != ':' && inSegment(r)
	})
}

// ForStream fits what a log stream's name is made of.
func ForStream(name string) string {
	return fit(name, maxStream, utf8.RuneLen, func(r rune) bool { return r != ':' && r != '*' && r != utf8.RuneError })
}

// ForDimension fits the value of a metric's dimension, "" where nothing is left to tell values apart.
func ForDimension(value string) string {
	if strings.TrimSpace(value) == "" {
		return ""
	}
	return fit(value, maxDimension, utf8.RuneLen, func(r rune) bool { return ' ' <= r && r <= '~' })
}

// ForSegment fits a segment's name to X-Ray, which counts characters.
func ForSegment(name string) string {
	if name == "" {
		return Unknown
	}
	return fit(name, maxSegment, func(rune) int { return 1 }, inSegment)
}

// inSegment: X-Ray's letters and digits are those of all languages; Go's classes leave out the marks
// that Hindi and others write vowels with, and X-Ray says nothing of them. Of white space the blank
// alone: no console shows a line feed in a name.
func inSegment(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(` _.:/%&#=+\-@`, r)
}

func fit(name string, longest int, length func(rune) int, allowed func(rune) bool) string {
	var fitted strings.Builder
	ambiguous, whole, room := false, true, longest
	for _, r := range name {
		if !allowed(r) {
			ambiguous = ambiguous || unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r)
			r = '_'
		}
		if room -= length(r); room < 0 {
			whole = false
			break
		}
		fitted.WriteRune(r)
	}
	if whole && !ambiguous {
		return fitted.String()
	}
	sum := sha256.Sum256([]byte(name))
	return shortened(fitted.String(), longest-digits-1, length) + "_" + hex.EncodeToString(sum[:])[:digits]
}

func shortened(name string, room int, length func(rune) int) string {
	for at, r := range name {
		if room -= length(r); room < 0 {
			return name[:at]
		}
	}
	return name
}

// FitService gives a resource the name that its service has at all vendors. What it was, text, number
// or list, is kept beside it; what was absent or empty was nothing.
func FitService(attributes pcommon.Map) {
	Fit(attributes, Service, ForService)
	if _, found := attributes.Get(Service); !found {
		attributes.PutStr(Service, Unknown)
	}
}

// Fit fits one attribute, where it is there.
func Fit(attributes pcommon.Map, key string, to func(string) string) {
	value, found := attributes.Get(key)
	if !found {
		return
	}
	name := value.AsString()
	fitted := to(name)
	if fitted == name && value.Type() == pcommon.ValueTypeStr {
		return
	}
	original := pcommon.NewValueEmpty()
	value.CopyTo(original)
	value.SetStr(fitted)
	if name != "" && name != fitted {
		original.CopyTo(attributes.PutEmpty(key + Original))
	}
}
