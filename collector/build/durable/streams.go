package durable

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// Streams tells which resources' data go to one log stream: upstream's exporters for CloudWatch put
// these attributes of the resource into the patterns of group and stream.
func Streams(pattern string) func(pcommon.Resource) string {
	var named []string
	for word, attribute := range map[string]string{
		"ClusterName": "aws.ecs.cluster.name", "TaskId": "aws.ecs.task.id",
		"NodeName": "k8s.node.name", "PodName": "pod", "ServiceName": "service.name",
		"ContainerInstanceId":  "aws.ecs.container.instance.id",
		"TaskDefinitionFamily": "aws.ecs.task.family", "InstanceId": "service.instance.id",
		"FaasName": "faas.name", "FaasVersion": "faas.version",
		// awsemf's group where the config names none.
		"ServiceNamespace": "service.namespace",
	} {
		if strings.Contains(pattern, "{"+word+"}") {
			named = append(named, word, attribute)
		}
	}
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
