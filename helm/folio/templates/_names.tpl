{{/* Names, labels and the image. Every template that is given a component takes (dict "root" $ "component" "command-service"). */}}

{{- define "folio.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 36 | trimSuffix "-" }}
{{- end }}

{{/* At most 36 characters: a StatefulSet's name has to fit into 52, for a label of its pods adds a hash. */}}
{{- define "folio.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 36 | trimSuffix "-" }}
{{- else if contains (include "folio.name" .) .Release.Name }}
{{- .Release.Name | trunc 36 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "folio.name" .) | trunc 36 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "folio.selector" -}}
app.kubernetes.io/name: {{ include "folio.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Of objects, not of pods: the chart's version would restart every pod with every new chart. */}}
{{- define "folio.labels" -}}
{{ include "folio.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: {{ include "folio.name" .root }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with include "folio.commonLabels" .root }}
{{ . }}
{{- end }}
{{- end }}

{{/* The release's own win over those of the chart that has this one as a part. */}}
{{- define "folio.commonLabels" -}}
{{- with merge (dict) .Values.commonLabels .Values.global.commonLabels }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* A door's address inside the cluster, without its port: the name of its Service. */}}
{{- define "folio.doorHost" -}}
{{ include "folio.fullname" .root }}-{{ .component }}.{{ .root.Release.Namespace }}.svc
{{- end }}

{{/* The ports of a door's Service, by name, in JSON. */}}
{{- define "folio.doorPorts" -}}{"http": 8080, "grpc": 9090}{{- end }}

{{- define "folio.image" -}}
{{- $image := .Values.image }}
{{- $repository := $image.repository }}
{{- with .Values.global.imageRegistry }}{{ $repository = printf "%s/%s" (trimSuffix "/" .) $repository }}{{ end }}
{{- if $image.digest }}{{ $repository }}@{{ $image.digest }}{{ else }}{{ $repository }}:{{ $image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "folio.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "folio.fullname" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{/* The one declared topic, as (dict "name" .. "partitions" .. "replicas" .. "config" ..) of the profile, in JSON. Numbers that a
float cannot hold are read as text. */}}
{{- define "folio.topic" -}}
{{- $text := .Files.Get "files/topics.yaml" }}
{{- $declared := regexReplaceAll ": ([0-9]{15,})" $text ": \"${1}\"" | fromYaml }}
{{- $topic := first $declared.topics }}
{{- $profile := .Values.topics.profile }}
{{- $config := dict }}
{{- range $key, $value := $topic.configs }}
{{- $_ := set $config $key (kindIs "map" $value | ternary (dig $profile "" (kindIs "map" $value | ternary $value dict)) $value) }}
{{- end }}
{{- dict "name" $topic.name "partitions" (get $topic.partitions $profile) "replicas" (get $topic.replication $profile) "config" $config | toJson }}
{{- end }}

{{/* Every component that runs, with its values, in JSON: the projectors' are those for all, then those for the read model. */}}
{{- define "folio.projectors" -}}
{{- $all := omit .Values.projectors "readModels" "settings" }}
{{- $projectors := dict }}
{{- range $model, $own := .Values.projectors.readModels }}
{{- $_ := set $projectors $model (mergeOverwrite (deepCopy $all) $own) }}
{{- end }}
{{- $projectors | toJson }}
{{- end }}
