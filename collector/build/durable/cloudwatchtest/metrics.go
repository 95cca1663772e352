package cloudwatchtest

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
)

// Metric is what CloudWatch makes of one metric of one event, by the dimension set [service.name].
type Metric struct {
	Name, Service, Unit string
	// Values and how often each, or statistics in their place.
	Values, Counts       []float64
	Sum, Min, Max, Count float64
	Statistics           bool
}

var (
	units = strings.Fields(`Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes Bits
		Kilobits Megabits Gigabits Terabits Percent Count Bytes/Second Kilobytes/Second Megabytes/Second
		Gigabytes/Second Terabytes/Second Bits/Second Kilobits/Second Megabits/Second Gigabits/Second
		Terabits/Second Count/Second None`)
	dimension = regexp.MustCompile(`^[ -~]*[!-~][ -~]*$`)
)

// Total is what a chart of the metric's sum adds up, for statistics of their count: CloudWatch takes that of
// values from how often each is there.
func (m Metric) Total() (total float64) {
	if m.Statistics && len(m.Values) == 0 {
		return m.Count
	}
	for i, value := range m.Values {
		if m.Statistics {
			value = 1
		}
		total += value * m.Counts[i]
	}
	return total
}

// Metrics of all events; an event that breaks a rule of the embedded metric format makes none, which is
// told by `invalid`, as CloudWatch's own EMFValidationErrors tell it.
func (s *Server) Metrics() (found []Metric, invalid []string) {
	for _, event := range s.Events() {
		some, err := extract(event.Message)
		if err != nil {
			invalid = append(invalid, err.Error())
		}
		found = append(found, some...)
	}
	return found, invalid
}

type metadata struct {
	CloudWatchMetrics []struct {
		Dimensions [][]string
		Metrics    []struct{ Name, Unit string }
	}
}

func extract(message map[string]any) (found []Metric, err error) {
	var about metadata
	content, err := json.Marshal(message["_aws"])
	if err != nil || json.Unmarshal(content, &about) != nil || len(about.CloudWatchMetrics) == 0 {
		return nil, fmt.Errorf("no metrics in %v", message)
	}
	seen := map[string]bool{}
	for _, directive := range about.CloudWatchMetrics {
		if len(directive.Metrics) > 100 {
			return nil, fmt.Errorf("%d metrics", len(directive.Metrics))
		}
		for _, set := range directive.Dimensions {
			for _, name := range set {
				if value, is := message[name].(string); !is || !dimension.MatchString(value) || len(value) > 1024 {
					return nil, fmt.Errorf("dimension %s: %v", name, message[name])
				}
			}
		}
		for _, declared := range directive.Metrics {
			if declared.Unit != "" && !slices.Contains(units, declared.Unit) {
				return nil, fmt.Errorf("unit %q", declared.Unit)
			}
			if seen[declared.Name] || declared.Name == "" {
				return nil, fmt.Errorf("metric %q twice or without a name", declared.Name)
			}
			seen[declared.Name] = true
			one := Metric{Name: declared.Name, Unit: declared.Unit}
			if err := one.measure(message[declared.Name]); err != nil {
				return nil, err
			}
			for _, set := range directive.Dimensions {
				if slices.Equal(set, []string{"service.name"}) {
					one.Service = message["service.name"].(string)
					found = append(found, one)
				}
			}
		}
	}
	return found, nil
}

func (m *Metric) measure(value any) error {
	switch value := value.(type) {
	case float64:
		m.Values, m.Counts = []float64{value}, []float64{1}
	case map[string]any:
		m.Sum, m.Min, m.Max, m.Count = number(value["Sum"]), number(value["Min"]), number(value["Max"]), number(value["Count"])
		m.Statistics = true
		for _, one := range list(value["Values"]) {
			m.Values = append(m.Values, number(one))
		}
		for _, one := range list(value["Counts"]) {
			m.Counts = append(m.Counts, number(one))
		}
		if len(m.Values) != len(m.Counts) || len(m.Values) > 100 {
			return fmt.Errorf("metric %s: %d values, %d counts", m.Name, len(m.Values), len(m.Counts))
		}
	default:
		return fmt.Errorf("metric %s is %T", m.Name, value)
	}
	for _, one := range append([]float64{m.Sum, m.Min, m.Max}, m.Values...) {
		if math.Abs(one) > 0x1p360 {
			return fmt.Errorf("metric %s is %g", m.Name, one)
		}
	}
	return nil
}

func number(of any) float64 { value, _ := of.(float64); return value }

func list(of any) []any { value, _ := of.([]any); return value }
