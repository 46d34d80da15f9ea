{{/* What the services are told, without any secret: those are in _credentials.tpl. */}}

{{- define "folio.servers" -}}
{{- $values := .Values }}
{{- $kafka := merge (dict "bootstrap_servers" $values.kafka.bootstrapServers "properties" $values.kafka.properties "security_protocol" (lower $values.kafka.securityProtocol)) $values.kafka.settings }}
{{- if include "folio.usesSasl" . }}
{{- $sasl := dict "mechanism" $values.kafka.sasl.mechanism }}
{{- if include "folio.usesToken" . }}
{{- $_ := set $sasl "token_file" (printf "%s/kafka/token" (include "folio.files" .)) }}
{{- else if eq $values.kafka.sasl.mechanism "OAUTHBEARER" }}
{{- $_ := set $sasl "token_url" $values.kafka.sasl.clientCredentials.tokenUrl }}
{{- with $values.kafka.sasl.clientCredentials.scope }}{{ $_ := set $sasl "scope" . }}{{ end }}
{{- end }}
{{- $_ := set $kafka "sasl" $sasl }}
{{- end }}
{{- $registry := merge (dict "url" $values.registry.url) $values.registry.settings }}
{{- $cql := merge (dict "contact_points" $values.cql.contactPoints "local_datacenter" $values.cql.localDatacenter "keyspace" $values.cql.keyspace "replication" $values.cql.replication "use_tls" $values.cql.tls.enabled) $values.cql.settings }}
{{- with $values.cql.tls.serverName }}{{ $_ := set $cql "tls_server_name" . }}{{ end }}
{{- $search := merge (dict "url" $values.search.url "index_prefix" $values.search.indexPrefix) $values.search.settings }}
{{- $servers := dict "kafka" $kafka "registry" $registry "cql" $cql "search" $search }}
{{- range $section, $server := $servers }}
{{- with include "folio.tlsFiles" (dict "root" $ "section" $section) | fromJson }}{{ $_ := set $server "tls" . }}{{ end }}
{{- end }}
{{- $servers | toJson }}
{{- end }}

{{- define "folio.telemetry" -}}
{{- $telemetry := dict "log" .Values.telemetry.log "level" .Values.telemetry.level "otlp_endpoint" .Values.telemetry.otlpEndpoint }}
{{- if .Values.telemetry.otlpEndpoint }}{{ $_ := set $telemetry "trace_ratio" .Values.telemetry.traceRatio }}{{ end }}
{{- with include "folio.tlsFiles" (dict "root" . "section" "telemetry") | fromJson }}{{ $_ := set $telemetry "otlp_tls" . }}{{ end }}
{{- $telemetry | toJson }}
{{- end }}

{{/* Where a service listens: by itself only on the loopback, where no other pod and no kubelet reaches it. */}}
{{- define "folio.listen" -}}
{{- $listen := dict }}
{{- range $name, $port := dict "http" 8080 "grpc" 9090 "ops" 9464 }}
{{- $_ := set $listen $name (printf "%s:%d" $.Values.listenAddress $port) }}
{{- end }}
{{- with include "folio.tlsFiles" (dict "root" . "section" "ops" "caName" "client_ca_file") | fromJson }}{{ $_ := set $listen "ops_tls" . }}{{ end }}
{{- $listen | toJson }}
{{- end }}

{{/* Who may call. Takes "root", "isDoor": only doors ask for certificates. */}}
{{- define "folio.auth" -}}
{{- $auth := .root.Values.auth }}
{{- $config := dict "allow_anonymous" $auth.allowAnonymous "open_metrics" $auth.openMetrics }}
{{- if $auth.oidc.issuer }}
{{- $of := $auth.oidc.claims }}
{{- $claims := dict "name" $of.name "scopes" $of.scopes "scope_prefix" $of.scopePrefix "roles" $of.roles }}
{{- with $of.tenant }}{{ $_ := set $claims "tenant" . }}{{ end }}
{{- $oidc := dict "issuer" $auth.oidc.issuer "audiences" $auth.oidc.audiences "claims" $claims }}
{{- with $auth.oidc.jwksUrl }}{{ $_ := set $oidc "jwks_url" . }}{{ end }}
{{- with include "folio.tlsFiles" (dict "root" .root "section" "auth") | fromJson }}{{ $_ := set $oidc "tls" . }}{{ end }}
{{- $_ := set $config "oidc" $oidc }}
{{- end }}
{{- if $auth.keys.existingSecret }}{{ $_ := set $config "keys_file" (printf "%s/auth/keys.yaml" (include "folio.files" .root)) }}{{ end }}
{{- with $auth.roles }}{{ $_ := set $config "roles" . }}{{ end }}
{{- with $auth.origins }}{{ $_ := set $config "origins" . }}{{ end }}
{{- if .isDoor }}{{ with $auth.certificates }}{{ $_ := set $config "certificates" . }}{{ end }}{{ end }}
{{- $config | toJson }}
{{- end }}

{{/* How names of persons are sealed, as the section `privacy`, if they are. */}}
{{- define "folio.privacy" -}}
{{- $privacy := dict }}
{{- with .Values.privacy }}
{{- if .existingSecret }}
{{- $file := printf "%s/privacy/keys.yaml" (include "folio.files" $) }}
{{- $privacy = dict "privacy" (dict "enabled" true "keys_file" $file "cache_ms" (mul .cacheSeconds 1000)) }}
{{- end }}
{{- end }}
{{- $privacy | toJson }}
{{- end }}

{{/* What the doors show, for the section `http`. */}}
{{- define "folio.doorsTls" -}}
{{- $http := dict }}
{{- with include "folio.tlsFiles" (dict "root" . "section" "doors" "caName" "client_ca_file") | fromJson }}{{ $_ := set $http "http" (dict "tls" .) }}{{ end }}
{{- $http | toJson }}
{{- end }}

{{- define "folio.config.command-service" -}}
{{- $servers := include "folio.servers" . | fromJson }}
{{- $topic := include "folio.topic" . | fromJson }}
{{- $config := deepCopy .Values.commandService.settings }}
{{- $_ := merge $config (dict "auth" (include "folio.auth" (dict "root" . "isDoor" true) | fromJson)) }}
{{- $_ := merge $config (pick $servers "kafka" "registry") }}
{{- if .Values.privacy.existingSecret }}
{{- /* Where the keys of persons are. */}}
{{- $_ := merge $config (pick $servers "cql") (include "folio.privacy" . | fromJson) }}
{{- end }}
{{- $_ := merge $config (dict "topic" $topic.name "expected_topic" (dict "partitions" $topic.partitions)) }}
{{- if .Values.commandService.cache.enabled }}
{{- /* A folder in the volume, which may hold a lost+found of its own. */}}
{{- $_ := merge $config (dict "cache" (dict "dir" "/var/lib/folio/cache")) }}
{{- end }}
{{- $_ := merge $config (dict "uploads" (dict "spool_dir" "/tmp") "listen" (include "folio.listen" . | fromJson)) (include "folio.doorsTls" . | fromJson) }}
{{- $_ := merge $config (dict "telemetry" (include "folio.telemetry" . | fromJson) "shutdown" (include "folio.shutdown" . | fromJson)) }}
{{- toYaml $config }}
{{- end }}

{{- define "folio.config.query-gateway" -}}
{{- $servers := include "folio.servers" . | fromJson }}
{{- $config := deepCopy .Values.queryGateway.settings }}
{{- $_ := merge $config (dict "auth" (include "folio.auth" (dict "root" . "isDoor" true) | fromJson)) }}
{{- $_ := merge $config (pick $servers "cql" "search") (include "folio.privacy" . | fromJson) }}
{{- $_ := merge $config (dict "queries" (dict "group_prefix" .Values.groupPrefix) "listen" (include "folio.listen" . | fromJson)) (include "folio.doorsTls" . | fromJson) }}
{{- $_ := merge $config (dict "telemetry" (include "folio.telemetry" . | fromJson) "shutdown" (include "folio.shutdown" . | fromJson)) }}
{{- toYaml $config }}
{{- end }}

{{/* One for each store: a service reads every file that its configuration names, and a pod has those of its own store alone. */}}
{{- define "folio.config.projector-cql" -}}{{ include "folio.config.projector" (dict "root" . "store" "cql") }}{{- end }}
{{- define "folio.config.projector-search" -}}{{ include "folio.config.projector" (dict "root" . "store" "search") }}{{- end }}

{{/* Nobody sends requests to a projector, so it ends at once. */}}
{{- define "folio.config.projector" -}}
{{- $values := .root.Values }}
{{- $topic := include "folio.topic" .root | fromJson }}
{{- $config := deepCopy $values.projectors.settings }}
{{- $_ := merge $config (dict "auth" (include "folio.auth" (dict "root" .root "isDoor" false) | fromJson)) }}
{{- $_ := merge $config (pick (include "folio.servers" .root | fromJson) "kafka" "registry" .store) }}
{{- $listen := pick (include "folio.listen" .root | fromJson) "ops" "ops_tls" }}
{{- $control := include "folio.controlTopic" .root | fromJson }}
{{- $_ := merge $config (dict "topic" $topic.name "control_topic" $control.name "group_prefix" $values.groupPrefix "listen" $listen) }}
{{- $shutdown := set (include "folio.shutdown" .root | fromJson) "drain_delay_ms" 0 }}
{{- $_ := merge $config (dict "telemetry" (include "folio.telemetry" .root | fromJson) "shutdown" $shutdown) }}
{{- toYaml $config }}
{{- end }}

{{/* `folio`, the tool. */}}
{{- define "folio.config.setup" -}}
{{- $topic := include "folio.topic" . | fromJson }}
{{- $control := include "folio.controlTopic" . | fromJson }}
{{- toYaml (merge (include "folio.servers" . | fromJson) (dict "topic" $topic.name "control_topic" $control.name) (include "folio.privacy" . | fromJson)) }}
{{- end }}

{{- define "folio.shutdown" -}}
{{- dict "drain_delay_ms" (mul .Values.shutdown.drainDelaySeconds 1000) "grace_ms" (mul .Values.shutdown.graceSeconds 1000) | toJson }}
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
