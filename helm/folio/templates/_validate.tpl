{{/* What a schema cannot say. Every message names the value and what to do. What concerns credentials is in _validate-credentials.tpl. */}}
{{- define "folio.validate" -}}
{{- $values := .Values }}
{{- $given := dict "kafka.bootstrapServers" $values.kafka.bootstrapServers "registry.url" $values.registry.url "cql.contactPoints" $values.cql.contactPoints "search.url" $values.search.url }}
{{- range $key, $value := $given }}
{{- if not $value }}
{{- fail (printf "%s is required: give the address of a server that is there (the chart brings none); docs/kubernetes.md shows how" $key) }}
{{- end }}
{{- end }}
{{- include "folio.validateKafka" . }}
{{- include "folio.validateCredentials" . }}
{{- include "folio.validateDoors" . }}
{{- if and $values.commandService.cache.persistent (not $values.commandService.cache.enabled) }}
{{- fail "commandService.cache.persistent is true, and there is no cache: give commandService.cache.enabled: true, or persistent: false" }}
{{- end }}
{{- if and (eq $values.topics.manage "strimzi") (not $values.topics.strimzi.cluster) }}
{{- fail "topics.strimzi.cluster is required where topics.manage is strimzi: give the name of the Kafka resource" }}
{{- end }}
{{- include "folio.validateScaling" . }}
{{- if and $values.ingress.enabled (or (not $values.ingress.commandsHost) (not $values.ingress.queriesHost) (eq $values.ingress.commandsHost $values.ingress.queriesHost)) }}
{{- fail "ingress: give commandsHost and queriesHost, two different hosts: an Ingress cannot tell commands from queries by their method; httpRoute can" }}
{{- end }}
{{- range $key := list "httpRoute" "grpcRoute" }}
{{- with get $values $key }}
{{- if and .enabled (not .parentRefs) }}
{{- fail (printf "%s.parentRefs is required: name the Gateway" $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $values.httpRoute.enabled $values.grpcRoute.enabled }}
{{- range $values.grpcRoute.hostnames }}
{{- if has . $values.httpRoute.hostnames }}
{{- fail (printf "grpcRoute.hostnames: %s is a host of httpRoute too, and a Gateway takes a host from one kind of route only: give gRPC a host of its own" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $values.metrics.serviceMonitor.enabled $values.metrics.podMonitor.enabled }}
{{- fail "metrics: serviceMonitor and podMonitor are both enabled, so every pod would be counted twice: leave one out" }}
{{- end }}
{{- $alerts := list }}
{{- range (.Files.Get "files/alerts.yaml" | fromYaml).groups }}
{{- range .rules }}{{ $alerts = append $alerts .alert }}{{ end }}
{{- end }}
{{- range $values.metrics.prometheusRule.exclude }}
{{- if not (has . $alerts) }}
{{- fail (printf "metrics.prometheusRule.exclude: there is no alert %s; files/alerts.yaml has %s" . (join ", " $alerts)) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "folio.validateScaling" -}}
{{- $values := .Values }}
{{- $topic := include "folio.topic" . | fromJson }}
{{- range $model, $projector := include "folio.projectors" . | fromJson }}
{{- with $projector.keda }}
{{- if .enabled }}
{{- if gt (int .maxReplicas) (int $topic.partitions) }}
{{- fail (printf "projectors: keda.maxReplicas of %s is %d, and the topic has %d partitions: give at most that many" $model (int .maxReplicas) (int $topic.partitions)) }}
{{- end }}
{{- if gt (int .minReplicas) (int .maxReplicas) }}
{{- fail (printf "projectors: keda.minReplicas of %s is more than keda.maxReplicas" $model) }}
{{- end }}
{{- if and (include "folio.usesSasl" $) (eq $values.kafka.sasl.mechanism "OAUTHBEARER") }}
{{- fail "projectors: KEDA cannot sign in to Kafka as Folio does with OAUTHBEARER: leave keda.enabled out and give replicaCount, or make a ScaledObject of your own in extraObjects" }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- range $key := list "commandService" "queryGateway" }}
{{- $service := get $values $key }}
{{- with $service.autoscaling }}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
{{- fail (printf "%s.autoscaling: minReplicas is more than maxReplicas" $key) }}
{{- end }}
{{- if and .enabled (not (dig "requests" "cpu" "" $service.resources)) }}
{{- fail (printf "%s.autoscaling goes by a share of the requested processor time, and none is requested: give %s.resources.requests.cpu" $key $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
