// Command podsecurity reads manifests in YAML from standard input and evaluates each pod, also in templates of workloads, against the
// restricted Pod Security Standard of Kubernetes, with the evaluator of Kubernetes itself. It prints what is forbidden, and how many
// pods it has evaluated.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// manifest has the parts of a pod and of every workload with a template for pods.
type manifest struct {
	Kind     string            `json:"kind"`
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		corev1.PodSpec `json:",inline"`
		Template       *corev1.PodTemplateSpec `json:"template"`
	} `json:"spec"`
}

func main() {
	evaluated, forbidden, err := evaluate(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "podsecurity:", err)
		os.Exit(2)
	}
	for _, line := range forbidden {
		fmt.Println(line)
	}
	fmt.Printf("%d pods evaluated, %d forbidden\n", evaluated, len(forbidden))
	if len(forbidden) > 0 {
		os.Exit(1)
	}
}

func evaluate(input io.Reader) (int, []string, error) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return 0, nil, err
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	reader := utilyaml.NewYAMLReader(bufio.NewReader(input))
	evaluated, forbidden := 0, []string{}
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return evaluated, forbidden, nil
		}
		if err != nil {
			return 0, nil, err
		}
		var found manifest
		if err := yaml.Unmarshal(document, &found); err != nil {
			return 0, nil, err
		}
		metadata, spec := &found.Metadata, &found.Spec.PodSpec
		switch found.Kind {
		case "Pod":
		case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job":
			metadata, spec = &found.Spec.Template.ObjectMeta, &found.Spec.Template.Spec
		default:
			continue
		}
		evaluated++
		result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, metadata, spec))
		if !result.Allowed {
			forbidden = append(forbidden, fmt.Sprintf("%s %s: %s", found.Kind, found.Metadata.Name, result.ForbiddenDetail()))
		}
	}
}
