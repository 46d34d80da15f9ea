{{/* Deleted when all hooks have succeeded; what a failure leaves to look at goes before the next try. */}}
{{- define "folio.setupHook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{/* The pod: one step after the other. */}}
{{- define "folio.setup" -}}
{{- $root := .root }}
{{- include "folio.podDefaults" $root }}
{{- if and $root.Values.setup.useHelmHooks $root.Values.serviceAccount.create }}
serviceAccountName: {{ include "folio.fullname" $root }}-setup
{{- else }}
serviceAccountName: {{ include "folio.serviceAccount" $root }}
{{- end }}
restartPolicy: Never
{{- with initial .steps }}
initContainers:
  {{- range . }}
  - {{ include "folio.setupStep" (dict "root" $root "step" .) | nindent 4 | trim }}
  {{- end }}
{{- end }}
containers:
  - {{ include "folio.setupStep" (dict "root" $root "step" (last .steps)) | nindent 4 | trim }}
volumes:
  - name: config
    configMap: {name: {{ include "folio.fullname" $root }}-setup}
  {{- with include "folio.fileVolumes" (dict "root" $root "sections" (include "folio.setupSections" . | fromJsonArray)) }}
  {{- trim . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "folio.setupSections" -}}["kafka", "registry", "cql", "search", "privacy"]{{- end }}

{{- define "folio.setupStep" -}}
{{- $values := .root.Values }}
{{- $secrets := dict "root" .root "sections" (include "folio.setupSections" . | fromJsonArray) }}
name: {{ .step.name }}
image: {{ include "folio.image" .root | quote }}
imagePullPolicy: {{ $values.image.pullPolicy }}
command: [/usr/local/bin/folio]
args:
  {{- toYaml (concat (list "--config" "/etc/folio/config.yaml") .step.args) | nindent 2 }}
{{- with concat (include "folio.credentials" $secrets | fromYamlArray) $values.setup.extraEnv }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
resources:
  {{- toYaml $values.setup.resources | nindent 2 }}
securityContext:
  {{- toYaml $values.containerSecurityContext | nindent 2 }}
volumeMounts:
  - {name: config, mountPath: /etc/folio, readOnly: true}
  {{- with include "folio.fileMounts" $secrets }}
  {{- trim . | nindent 2 }}
  {{- end }}
{{- end }}
