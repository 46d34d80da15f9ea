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

{{/* Every declared topic, as (dict "name" .. "partitions" .. "replicas" .. "config" ..) of the profile, in JSON, a list. Numbers that a
float cannot hold are read as text. */}}
{{- define "folio.topics" -}}
{{- $text := .Files.Get "files/topics.yaml" }}
{{- $declared := regexReplaceAll ": ([0-9]{15,})" $text ": \"${1}\"" | fromYaml }}
{{- $profile := .Values.topics.profile }}
{{- $topics := list }}
{{- range $topic := $declared.topics }}
{{- $sizes := dict }}
{{- range $key, $value := merge (dict "partitions" $topic.partitions "replicas" $topic.replication) $topic.configs }}
{{- $_ := set $sizes $key (kindIs "map" $value | ternary (dig $profile "" (kindIs "map" $value | ternary $value dict)) $value) }}
{{- end }}
{{- $sizes = dict "name" $topic.name "partitions" $sizes.partitions "replicas" $sizes.replicas "config" (omit $sizes "partitions" "replicas") }}
{{- $topics = append $topics $sizes }}
{{- end }}
{{- $topics | toJson }}
{{- end }}

{{/* The topic of events, and that of the decisions about builds of read models: each as above, in JSON. */}}
{{- define "folio.topic" -}}{{ include "folio.topicNamed" (dict "root" . "name" "catalog.product.events.v1") }}{{- end }}
{{- define "folio.controlTopic" -}}{{ include "folio.topicNamed" (dict "root" . "name" "folio.control.v1") }}{{- end }}

{{- define "folio.topicNamed" -}}
{{- $name := .name }}
{{- range include "folio.topics" .root | fromJsonArray }}
{{- if eq .name $name }}{{ toJson . }}{{ end }}
{{- end }}
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
