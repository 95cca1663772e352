package names

import (
	"regexp"
	"strings"
)

// CloudWatch's, as botocore's StandardUnit has them.
var units = []string{
	"Seconds", "Microseconds", "Milliseconds",
	"Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes",
	"Bits", "Kilobits", "Megabits", "Gigabits", "Terabits", "Percent", "Count",
	"Bytes/Second", "Kilobytes/Second", "Megabytes/Second", "Gigabytes/Second", "Terabytes/Second",
	"Bits/Second", "Kilobits/Second", "Megabits/Second", "Gigabits/Second", "Terabits/Second",
	"Count/Second", "None",
}

// UCUM's codes, which OpenTelemetry's units are, of which CloudWatch has the same unit.
var ucum = map[string]string{
	"s": "Seconds", "ms": "Milliseconds", "us": "Microseconds", "µs": "Microseconds", "μs": "Microseconds",
	"By": "Bytes", "kBy": "Kilobytes", "MBy": "Megabytes", "GBy": "Gigabytes", "TBy": "Terabytes",
	"bit": "Bits", "kbit": "Kilobits", "Mbit": "Megabits", "Gbit": "Gigabits", "Tbit": "Terabits",
	"%": "Percent", "{}": "Count",
}

var annotation = regexp.MustCompile(`\{[^{}]*\}`)

// ForUnit is CloudWatch's unit for one of UCUM's, "" (None) where it has none, as for degrees, hours or
// multiples of 1024: the value stays what it is. Upstream knows seven and hands on the rest, and
// CloudWatch takes no metric with a unit that it does not know. An annotation alone counts what it
// names: `{request}`; beside a unit it says nothing (`By{used}`).
func ForUnit(unit string) string {
	for _, known := range units {
		if strings.EqualFold(unit, known) {
			return known
		}
	}
	amount, rate := strings.CutSuffix(unit, "/s")
	amount = annotation.ReplaceAllString(amount, "{}")
	if amount != "{}" {
		amount = strings.ReplaceAll(amount, "{}", "")
	}
	switch found := ucum[amount]; {
	case rate && amount == "1":
		return "Count/Second"
	case !rate:
		return found
	case found == "Count" || strings.HasSuffix(found, "bits") || strings.HasSuffix(found, "ytes") || found == "Bits":
		return found + "/Second"
	}
	return ""
}
