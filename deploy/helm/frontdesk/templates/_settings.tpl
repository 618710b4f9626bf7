{{/* The settings of the processes, and how they are written in TOML. */}}

{{/* The settings that the processes read from their file, in JSON. */}}
{{- define "frontdesk.settings" -}}
{{- $settings := deepCopy .Values.settings }}
{{- $host := .Values.listenHost }}
{{- $own := dict "ops" (dict "listen" (printf "%s:7790" $host)) "drain" (printf "%ds" (int .Values.shutdown.drainSeconds)) }}
{{- $_ := set $own "notification" (dict "drain" (printf "%ds" (int .Values.shutdown.deliveriesSeconds))) }}
{{- $web := dict }}
{{- if .Values.developmentKey }}
  {{- $_ := set $own "identity" (dict "development_key" true) }}
{{- else }}
  {{- $_ := set $own "listen" (printf "%s:7700" $host) }}
  {{- if .Values.web.enabled }}{{ $_ := set $web "listen" (printf "%s:7780" $host) }}{{ end }}
{{- end }}
{{- if not .Values.web.enabled }}{{ $_ := set $web "listen" "" }}{{ end }}
{{- if .Values.web.certificateSecret }}
  {{- $_ := set $web "certificate_path" "/etc/frontdesk/web-tls/tls.crt" }}
  {{- $_ := set $web "key_path" "/etc/frontdesk/web-tls/tls.key" }}
{{- end }}
{{- $_ := set $own "web" $web }}
{{- $tls := dict }}
{{- if eq .Values.tls.source "outside" }}
  {{- $_ := set $tls "terminated_outside" true }}
{{- else if not .Values.developmentKey }}
  {{- $_ := set $tls "certificate_path" "/etc/frontdesk/tls/tls.crt" }}
  {{- $_ := set $tls "key_path" "/etc/frontdesk/tls/tls.key" }}
{{- end }}
{{- if eq .Values.mode "distributed" }}
  {{- $_ := set $tls "ca_path" "/etc/frontdesk/tls/ca.crt" }}
  {{- $peers := dict }}
  {{- range include "frontdesk.processes" . | fromYamlArray }}
    {{- $_ := set $peers (replace "-" "_" .name) (printf "https://%s-%s-replicas.%s.svc:7700" (include "frontdesk.fullname" $) .name $.Release.Namespace) }}
  {{- end }}
  {{- $_ := set $own "peers" $peers }}
  {{- if .Values.attachments.existingClaim }}{{ $_ := set $own "attachments" (dict "folder" "/var/lib/frontdesk-attachments/files") }}{{ end }}
{{- end }}
{{- $_ := set $own "tls" $tls }}
{{- mustMergeOverwrite $settings $own | toJson }}
{{- end }}

{{/* The settings of `frontdesk migrate`, in JSON. It serves nothing, so it needs neither identity nor certificates. */}}
{{- define "frontdesk.migrateSettings" -}}
{{- pick .Values.settings "telemetry" "databases" "bus" | toJson }}
{{- end }}

{{/* A table in TOML: (dict "table" <map> "path" "" ). */}}
{{- define "frontdesk.toml" -}}
{{- $path := .path }}
{{- range $key, $value := .table }}
{{- if or (kindIs "map" $value) (kindIs "invalid" $value) }}
{{- else if and (kindIs "slice" $value) $value (kindIs "map" (first $value)) }}
{{- else }}
{{ include "frontdesk.tomlKey" $key }} = {{ include "frontdesk.tomlValue" $value }}
{{- end }}
{{- end }}
{{- range $key, $value := .table }}
{{- $name := printf "%s%s" $path (include "frontdesk.tomlKey" $key) }}
{{- if and (kindIs "map" $value) $value }}

[{{ $name }}]
{{- include "frontdesk.toml" (dict "table" $value "path" (printf "%s." $name)) }}
{{- else if and (kindIs "slice" $value) $value (kindIs "map" (first $value)) }}
{{- range $value }}

[[{{ $name }}]]
{{- include "frontdesk.toml" (dict "table" . "path" (printf "%s." $name)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* A key in TOML, in quotation marks unless it is a bare one. */}}
{{- define "frontdesk.tomlKey" -}}
{{- if regexMatch "^[A-Za-z0-9_-]+$" . }}{{ . }}{{ else }}{{ toJson . }}{{ end }}
{{- end }}

{{/* Helm reads whole numbers as floating-point ones. Texts and lists of texts are written as in JSON. */}}
{{- define "frontdesk.tomlValue" -}}
{{- if kindIs "float64" . }}{{ if eq (floor .) . }}{{ int64 . }}{{ else }}{{ . }}{{ end }}{{ else }}{{ toJson . }}{{ end }}
{{- end }}

{{/* Seconds of a setting such as 60s: (dict "text" … "default" 60). */}}
{{- define "frontdesk.seconds" -}}
{{- .text | default (printf "%ds" .default) | trimSuffix "s" }}
{{- end }}

{{/* The gRPC services that a process serves to browsers, in a list: (dict "root" $ "name" <process>). */}}
{{- define "frontdesk.webServices" -}}
{{- $root := .root }}
{{- $served := list }}
{{- if $root.Values.web.enabled }}
  {{- $allowed := dig "web" "services" (list "frontdesk.conversation.v1.VisitorService") $root.Values.settings }}
  {{- range $process, $services := $root.Files.Get "files/public-services.yaml" | fromYaml }}
    {{- if has $.name (list $process "all-in-one") }}
      {{- range $allowed }}{{ if has . $services }}{{ $served = append $served . }}{{ end }}{{ end }}
    {{- end }}
  {{- end }}
{{- end }}
{{- $served | toJson }}
{{- end }}

{{/* Whether a process opens web.listen: it serves gRPC services to browsers, or pages that links lead to, /attachments and /transcripts:
     (dict "root" $ "name" <process>). Empty: no. */}}
{{- define "frontdesk.hasWeb" -}}
{{- if .root.Values.web.enabled }}
  {{- $hasLinks := and (dig "web" "public_url" "" .root.Values.settings) (has .name (list "conversation" "notification" "all-in-one")) }}
  {{- if or (include "frontdesk.webServices" . | fromJsonArray) $hasLinks }}true{{ end }}
{{- end }}
{{- end }}

{{/* Seconds that a process may take from SIGTERM to its end: (dict "root" $ "name" <process>). At most `drain` and a second for calls
     and tasks or, where mails and webhooks are sent, their time; again `drain` for readers of key sets, 8 for traces, 1 for threads. */}}
{{- define "frontdesk.stopSeconds" -}}
{{- $drain := int .root.Values.shutdown.drainSeconds }}
{{- $tasks := add1 $drain }}
{{- if has .name (list "notification" "all-in-one") }}
  {{- $webhooks := dig "notification" "webhooks" "timeout" "" .root.Values.settings }}
  {{- $tasks = max $tasks (int .root.Values.shutdown.deliveriesSeconds) (int (include "frontdesk.seconds" (dict "text" $webhooks "default" 10))) }}
{{- end }}
{{- add $tasks $drain 9 }}
{{- end }}
