{{/* What the services are told: files without secrets, and variables from Secrets. */}}

{{- define "folio.servers" -}}
{{- $values := .Values }}
{{- $kafka := merge (dict "bootstrap_servers" $values.kafka.bootstrapServers "properties" $values.kafka.properties) $values.kafka.settings }}
{{- $registry := merge (dict "url" $values.registry.url) $values.registry.settings }}
{{- $cql := merge (dict "contact_points" $values.cql.contactPoints "local_datacenter" $values.cql.localDatacenter "keyspace" $values.cql.keyspace "replication" $values.cql.replication) $values.cql.settings }}
{{- $search := merge (dict "url" $values.search.url "index_prefix" $values.search.indexPrefix) $values.search.settings }}
{{- dict "kafka" $kafka "registry" $registry "cql" $cql "search" $search | toJson }}
{{- end }}

{{- define "folio.telemetry" -}}
{{- dict "log" .Values.telemetry.log "level" .Values.telemetry.level "otlp_endpoint" .Values.telemetry.otlpEndpoint | toJson }}
{{- end }}

{{- define "folio.config.command-service" -}}
{{- $servers := include "folio.servers" . | fromJson }}
{{- $topic := include "folio.topic" . | fromJson }}
{{- $config := deepCopy .Values.commandService.settings }}
{{- $_ := merge $config (pick $servers "kafka" "registry") }}
{{- $_ := merge $config (dict "topic" $topic.name "expected_topic" (dict "partitions" $topic.partitions)) }}
{{- if .Values.commandService.cache.enabled }}
{{- /* A folder in the volume, which may hold a lost+found of its own. */}}
{{- $_ := merge $config (dict "cache" (dict "dir" "/var/lib/folio/cache")) }}
{{- end }}
{{- $_ := merge $config (dict "uploads" (dict "spool_dir" "/tmp")) }}
{{- $_ := merge $config (dict "telemetry" (include "folio.telemetry" . | fromJson) "shutdown" (include "folio.shutdown" . | fromJson)) }}
{{- toYaml $config }}
{{- end }}

{{- define "folio.config.query-gateway" -}}
{{- $servers := include "folio.servers" . | fromJson }}
{{- $config := deepCopy .Values.queryGateway.settings }}
{{- $_ := merge $config (pick $servers "cql" "search") }}
{{- $_ := merge $config (dict "queries" (dict "group_prefix" .Values.groupPrefix)) }}
{{- $_ := merge $config (dict "telemetry" (include "folio.telemetry" . | fromJson) "shutdown" (include "folio.shutdown" . | fromJson)) }}
{{- toYaml $config }}
{{- end }}

{{/* Nobody sends requests to a projector, so it ends at once. */}}
{{- define "folio.config.projector" -}}
{{- $topic := include "folio.topic" . | fromJson }}
{{- $config := deepCopy .Values.projectors.settings }}
{{- $_ := merge $config (include "folio.servers" . | fromJson) }}
{{- $_ := merge $config (dict "topic" $topic.name "group_prefix" .Values.groupPrefix) }}
{{- $shutdown := set (include "folio.shutdown" . | fromJson) "drain_delay_ms" 0 }}
{{- $_ := merge $config (dict "telemetry" (include "folio.telemetry" . | fromJson) "shutdown" $shutdown) }}
{{- toYaml $config }}
{{- end }}

{{/* `folio`, the tool. */}}
{{- define "folio.config.setup" -}}
{{- $topic := include "folio.topic" . | fromJson }}
{{- toYaml (merge (include "folio.servers" . | fromJson) (dict "topic" $topic.name)) }}
{{- end }}

{{- define "folio.shutdown" -}}
{{- dict "drain_delay_ms" (mul .Values.shutdown.drainDelaySeconds 1000) "grace_ms" (mul .Values.shutdown.graceSeconds 1000) | toJson }}
{{- end }}

{{/* Credentials, as variables. Takes (dict "root" $ "sections" (list "kafka" ..)). */}}
{{- define "folio.credentials" -}}
{{- $values := .root.Values }}
{{- range .sections }}
{{- $section := . }}
{{- $of := get $values $section }}
{{- if $of.existingSecret }}
{{- if eq $section "kafka" }}
{{- range $property, $key := $of.secretProperties }}
{{ include "folio.fromSecret" (dict "variable" (printf "KAFKA__PROPERTIES__%s" ($property | replace "." "_" | upper)) "secret" $of.existingSecret "key" $key) }}
{{- end }}
{{- else if $of.apiKeyKey }}
{{ include "folio.fromSecret" (dict "variable" (printf "%s__API_KEY" (upper $section)) "secret" $of.existingSecret "key" $of.apiKeyKey) }}
{{- else }}
{{- if $of.username }}
- name: FOLIO__{{ upper $section }}__USERNAME
  value: {{ $of.username | quote }}
{{- else }}
{{ include "folio.fromSecret" (dict "variable" (printf "%s__USERNAME" (upper $section)) "secret" $of.existingSecret "key" $of.usernameKey) }}
{{- end }}
{{ include "folio.fromSecret" (dict "variable" (printf "%s__PASSWORD" (upper $section)) "secret" $of.existingSecret "key" $of.passwordKey) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "folio.fromSecret" -}}
- name: FOLIO__{{ .variable }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
{{- end }}

{{/* The ports of all addresses in a text such as `http://a:9200` or `b:9042,c`, as JSON. Takes (dict "addresses" .. "default" 9042). */}}
{{- define "folio.ports" -}}
{{- $ports := list }}
{{- $default := .default }}
{{- range splitList "," .addresses }}
{{- $address := trim . }}
{{- $host := regexReplaceAll "^[a-z]+://([^/]*).*$" $address "${1}" }}
{{- $found := regexFind ":[0-9]+$" $host | trimPrefix ":" }}
{{- if $found }}
{{- $ports = append $ports (int $found) }}
{{- else if hasPrefix "https://" $address }}
{{- $ports = append $ports 443 }}
{{- else if hasPrefix "http://" $address }}
{{- $ports = append $ports 80 }}
{{- else }}
{{- $ports = append $ports $default }}
{{- end }}
{{- end }}
{{- $ports | uniq | toJson }}
{{- end }}
