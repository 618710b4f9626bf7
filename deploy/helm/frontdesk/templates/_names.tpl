{{/* Names and labels, and which processes there are. */}}

{{- define "frontdesk.fullname" -}}
{{- $name := .Release.Name }}
{{- if not (contains .Chart.Name $name) }}{{ $name = printf "%s-%s" $name .Chart.Name }}{{ end }}
{{- .Values.fullnameOverride | default $name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* The processes that serve, by mode: name, key in the values, and the processes that each calls. */}}
{{- define "frontdesk.processes" -}}
{{- if eq .Values.mode "all-in-one" -}}
- { name: all-in-one, key: allInOne, calls: [] }
{{- else -}}
- { name: conversation, key: conversation, calls: [assignment, bot-session, notification] }
- { name: assignment, key: assignment, calls: [conversation] }
- { name: bot-session, key: botSession, calls: [conversation, assignment] }
- { name: notification, key: notification, calls: [conversation, assignment] }
{{- end }}
{{- end }}

{{/* Labels that select pods: (dict "root" $ "name" <process>). Without a name: all pods of the release. */}}
{{- define "frontdesk.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .name }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{/* Labels of pods, which no new version of the chart changes. */}}
{{- define "frontdesk.podLabels" -}}
{{- include "frontdesk.selector" . }}
{{- with .root.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- with .root.Values.pods.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "frontdesk.labels" -}}
{{- include "frontdesk.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Metadata of an object: (dict "root" $ "name" <process> "suffix" "-replicas"). */}}
{{- define "frontdesk.metadata" -}}
name: {{ include "frontdesk.fullname" .root }}{{ with .name }}-{{ . }}{{ end }}{{ .suffix }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "frontdesk.labels" . | nindent 2 }}
{{- end }}

{{- define "frontdesk.image" -}}
{{- $image := .Values.image }}
{{- if $image.digest }}{{ $image.repository }}@{{ $image.digest }}{{ else }}{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}
