{{/* The template of the pods of a process that serves: (dict "root" $ "process" <of frontdesk.processes> "resources" …). */}}
{{- define "frontdesk.podTemplate" -}}
{{- $root := .root }}
{{- $values := $root.Values }}
{{- $process := .process }}
{{- $of := dict "root" $root "name" $process.name }}
{{- $web := include "frontdesk.hasWeb" $of }}
{{- $hasTls := and (ne $values.tls.source "outside") (not $values.developmentKey) }}
{{- $secrets := include "frontdesk.secretsOfProcess" . | fromJsonArray }}
{{- $start := int (include "frontdesk.seconds" (dict "text" $values.settings.schema_wait "default" 60)) }}
{{- if eq $process.name "all-in-one" }}{{ $start = int $values.migrations.activeDeadlineSeconds }}{{ end }}
{{- $claim := and (eq $process.name "conversation") $values.attachments.existingClaim }}
metadata:
  annotations:
    # A change of the settings replaces the pods.
    frontdesk/settings: {{ include "frontdesk.settings" $root | sha256sum }}
    {{- with $values.pods.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "frontdesk.podLabels" $of | nindent 4 }}
spec:
  serviceAccountName: {{ include "frontdesk.fullname" $root }}-{{ $process.name }}
  {{- include "frontdesk.podSettings" $root | nindent 2 }}
  terminationGracePeriodSeconds: {{ add (include "frontdesk.stopSeconds" $of) (int $values.shutdown.preStopSeconds) }}
  {{- if ne $process.name "all-in-one" }}
  topologySpreadConstraints:
    {{- range $key, $topology := dict "nodes" "kubernetes.io/hostname" "zones" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ $topology }}
      whenUnsatisfiable: {{ index $values.pods.spread $key }}
      labelSelector:
        matchLabels:
          {{- include "frontdesk.selector" $of | nindent 10 }}
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
  containers:
    - name: frontdesk
      {{- include "frontdesk.containerSettings" $root | nindent 6 }}
      args: [serve, {{ eq $process.name "all-in-one" | ternary "all" $process.name }}]
      env:
        {{- include "frontdesk.commonEnvironment" $root | nindent 8 }}
        {{- if ne $process.name "all-in-one" }}
        {{- include "frontdesk.busVariables" (index $values.busUsers $process.key) | nindent 8 }}
        {{- end }}
        {{- include "frontdesk.secretVariables" $secrets | nindent 8 }}
      ports:
        {{- if not $values.developmentKey }}
        - { name: grpc, containerPort: 7700 }
        {{- if $web }}
        - { name: web, containerPort: 7780 }
        {{- end }}
        {{- end }}
        - { name: ops, containerPort: 7790 }
      {{- if eq $process.name "all-in-one" }}
      # The process updates its schema before it opens ops.listen. A pod that is killed meanwhile begins that again.
      {{- else }}
      # While a process waits for its schema, ops.listen accepts connections and does not answer. It ends by itself after schema_wait.
      {{- end }}
      startupProbe:
        httpGet: { path: /livez, port: ops }
        periodSeconds: 3
        timeoutSeconds: 2
        failureThreshold: {{ div (add $start 60) 3 }}
      livenessProbe:
        httpGet: { path: /livez, port: ops }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: { path: /readyz, port: ops }
        periodSeconds: 3
        timeoutSeconds: 2
        failureThreshold: 2
      {{- if gt (int $values.shutdown.preStopSeconds) 0 }}
      # The pod is no longer an endpoint from its deletion on. It serves calls until that is known everywhere; then SIGTERM comes: it
      # answers NOT_SERVING, ends streams with their cursor, and lets calls end.
      lifecycle:
        preStop:
          sleep: { seconds: {{ int $values.shutdown.preStopSeconds }} }
      {{- end }}
      resources:
        {{- toYaml .resources | nindent 8 }}
      volumeMounts:
        {{- include "frontdesk.commonMounts" $secrets | nindent 8 }}
        {{- if $hasTls }}
        # As a folder: files that are mounted one by one never change.
        - { name: tls, mountPath: /etc/frontdesk/tls, readOnly: true }
        {{- end }}
        {{- if $values.web.certificateSecret }}
        - { name: web-tls, mountPath: /etc/frontdesk/web-tls, readOnly: true }
        {{- end }}
        {{- if $claim }}
        - { name: attachments, mountPath: /var/lib/frontdesk-attachments }
        {{- end }}
        {{- include "frontdesk.fileMounts" $of | nindent 8 }}
  volumes:
    - name: settings
      configMap: { name: {{ include "frontdesk.fullname" $root }} }
    - name: data
      {{- if eq $process.name "all-in-one" }}
      persistentVolumeClaim: { claimName: {{ $values.allInOne.persistence.existingClaim | default (printf "%s-data" (include "frontdesk.fullname" $root)) | quote }} }
      {{- else }}
      emptyDir: { sizeLimit: 128Mi }
      {{- end }}
    {{- include "frontdesk.secretVolume" $secrets | nindent 4 }}
    {{- if $hasTls }}
    - name: tls
      secret:
        secretName: {{ index $values.tls.secrets $process.key | default (printf "%s-%s-tls" (include "frontdesk.fullname" $root) $process.name) | quote }}
        defaultMode: 0440
    {{- end }}
    {{- if $values.web.certificateSecret }}
    - name: web-tls
      secret: { secretName: {{ $values.web.certificateSecret | quote }}, defaultMode: 0440 }
    {{- end }}
    {{- if $claim }}
    - name: attachments
      persistentVolumeClaim: { claimName: {{ $claim | quote }} }
    {{- end }}
    {{- include "frontdesk.fileVolumes" $of | nindent 4 }}
{{- end }}

{{/* What the pods of every process have in common. */}}
{{- define "frontdesk.podSettings" -}}
automountServiceAccountToken: false
# Otherwise Kubernetes adds variables such as FRONTDESK_CONVERSATION_PORT.
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- with .Values.pods.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.pods.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.pods.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "frontdesk.containerSettings" -}}
image: {{ include "frontdesk.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  allowPrivilegeEscalation: false
  privileged: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end }}

{{- define "frontdesk.commonEnvironment" -}}
- { name: FRONTDESK_CONFIG, value: /etc/frontdesk/settings/frontdesk.toml }
# A folder in the volume: the volume's own is open to its group.
- { name: FRONTDESK__DATA_FOLDER, value: /var/lib/frontdesk/data }
{{- end }}

{{/* The mounts of every process, by its secrets. */}}
{{- define "frontdesk.commonMounts" -}}
- { name: settings, mountPath: /etc/frontdesk/settings, readOnly: true }
{{- if . }}
- { name: secrets, mountPath: /etc/frontdesk/secrets, readOnly: true }
{{- end }}
- { name: data, mountPath: /var/lib/frontdesk, subPath: frontdesk }
# SQLite writes a copy of its file here while it compacts it.
- { name: data, mountPath: /tmp, subPath: tmp }
{{- end }}

{{/* The secrets of a process that serves, as a list in JSON: the setting, and the Secret with the key. Those without a name are left out. */}}
{{- define "frontdesk.secretsOfProcess" -}}
{{- $of := .root.Values.secrets }}
{{- $name := .process.name }}
{{- $all := list }}
{{- if not .root.Values.developmentKey }}
  {{- $all = append $all (dict "setting" "identity.secret" "secret" $of.identity.secret) }}
  {{- $all = append $all (dict "setting" "identity.previous_secret" "secret" $of.identity.previous_secret) }}
{{- end }}
{{- if ne $name "all-in-one" }}
  {{- $setting := replace "-" "_" $name }}
  {{- $all = append $all (dict "setting" (printf "databases.%s.url" $setting) "secret" (index $of.databases $setting)) }}
  {{- $all = concat $all (include "frontdesk.secretsOfBusUser" (index .root.Values.busUsers .process.key) | fromJsonArray) }}
{{- end }}
{{- if has $name (list "notification" "all-in-one") }}
  {{- $all = append $all (dict "setting" "notification.smtp.password" "secret" $of.smtp_password) }}
{{- end }}
{{- if has $name (list "conversation" "all-in-one") }}
  {{- $all = append $all (dict "setting" "attachments.s3.secret_access_key" "secret" $of.s3_secret_access_key) }}
{{- end }}
{{- include "frontdesk.named" $all }}
{{- end }}

{{/* The secrets of `frontdesk migrate`. */}}
{{- define "frontdesk.secretsOfMigrate" -}}
{{- $all := include "frontdesk.secretsOfBusUser" .Values.busUsers.operator | fromJsonArray }}
{{- range $service, $secret := .Values.secrets.databases }}
  {{- $all = append $all (dict "setting" (printf "databases.%s.url" $service) "secret" $secret) }}
{{- end }}
{{- include "frontdesk.named" $all }}
{{- end }}

{{- define "frontdesk.secretsOfBusUser" -}}
{{- list (dict "setting" "bus.password" "secret" .password) (dict "setting" "bus.credentials" "secret" .credentials) | toJson }}
{{- end }}

{{- define "frontdesk.named" -}}
{{- $named := list }}
{{- range . }}{{ if .secret.name }}{{ $named = append $named . }}{{ end }}{{ end }}
{{- $named | toJson }}
{{- end }}

{{/* The variables that name the files of secrets. */}}
{{- define "frontdesk.secretVariables" -}}
{{- range . }}
{{- if eq .setting "bus.credentials" }}
- { name: FRONTDESK__BUS__CREDENTIALS_PATH, value: /etc/frontdesk/secrets/bus.credentials }
{{- else }}
- { name: FRONTDESK__{{ .setting | replace "." "__" | upper }}_FILE, value: /etc/frontdesk/secrets/{{ .setting }} }
{{- end }}
{{- end }}
{{- end }}

{{- define "frontdesk.secretVolume" -}}
{{- if . -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range . }}
      - secret: { name: {{ .secret.name | quote }}, items: [{ key: {{ .secret.key | quote }}, path: {{ .setting }} }] }
      {{- end }}
{{- end }}
{{- end }}

{{/* The user of a process at the broker: one of busUsers. */}}
{{- define "frontdesk.busVariables" -}}
{{- with .username }}
- { name: FRONTDESK__BUS__USERNAME, value: {{ . | quote }} }
{{- end }}
{{- with .inboxPrefix }}
- { name: FRONTDESK__BUS__INBOX_PREFIX, value: {{ . | quote }} }
{{- end }}
{{- end }}

{{/* The entries of `files` that a process has, as a list in JSON: (dict "root" $ "name" <process>). all-in-one has those of every process. */}}
{{- define "frontdesk.filesOfProcess" -}}
{{- $files := list }}
{{- range .root.Values.files }}
  {{- if or (not .processes) (eq $.name "all-in-one") (has $.name .processes) }}{{ $files = append $files . }}{{ end }}
{{- end }}
{{- $files | toJson }}
{{- end }}

{{/* The files that settings name. */}}
{{- define "frontdesk.fileMounts" -}}
{{- range include "frontdesk.filesOfProcess" . | fromJsonArray }}
- { name: file-{{ .name }}, mountPath: /etc/frontdesk/files/{{ .name }}, readOnly: true }
{{- end }}
{{- end }}

{{- define "frontdesk.fileVolumes" -}}
{{- range include "frontdesk.filesOfProcess" . | fromJsonArray }}
- name: file-{{ .name }}
  {{- if .secret }}
  secret: { secretName: {{ .secret | quote }}, defaultMode: 0440 }
  {{- else }}
  configMap: { name: {{ .configMap | quote }} }
  {{- end }}
{{- end }}
{{- end }}
