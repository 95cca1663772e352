package durable

import (
	"slices"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"otel-stack/durable/names"
)

// Upstream's exporters for CloudWatch put these attributes of the resource into the patterns of group
// and stream; an attribute that is called as the word itself goes first.
var placeholders = map[string]string{
	"ClusterName": "aws.ecs.cluster.name", "TaskId": "aws.ecs.task.id",
	"NodeName": "k8s.node.name", "PodName": "pod", "ServiceName": names.Service,
	"ContainerInstanceId":  "aws.ecs.container.instance.id",
	"TaskDefinitionFamily": "aws.ecs.task.family", "InstanceId": "service.instance.id",
	"FaasName": "faas.name", "FaasVersion": "faas.version",
	// awsemf's group where the config names none.
	"ServiceNamespace": "service.namespace",
}

// filledIn are the attributes that a pattern is filled in with.
func filledIn(pattern string) (found []string) {
	for word, attribute := range placeholders {
		if strings.Contains(pattern, "{"+word+"}") {
			found = append(found, word, attribute)
		}
	}
	return found
}

// Fitting makes a resource's attributes such that a pattern filled in with them is a stream's name.
func Fitting(pattern string) func(pcommon.Resource) {
	all := slices.DeleteFunc(filledIn(pattern), func(one string) bool { return one == names.Service })
	return func(resource pcommon.Resource) {
		names.FitService(resource.Attributes())
		for _, one := range all {
			names.Fit(resource.Attributes(), one, names.ForStream)
		}
	}
}

// Streams tells which resources' data go to one log stream.
func Streams(pattern string) func(pcommon.Resource) string {
	named := filledIn(pattern)
	return func(resource pcommon.Resource) string {
		var key strings.Builder
		for _, name := range named {
			if value, found := resource.Attributes().Get(name); found {
				key.WriteString(value.AsString())
			}
			key.WriteByte(0)
		}
		return key.String()
	}
}
