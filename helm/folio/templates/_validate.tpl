{{/* What a schema cannot say. Every message names the value and what to do. */}}
{{- define "folio.validate" -}}
{{- $values := .Values }}
{{- $given := dict "kafka.bootstrapServers" $values.kafka.bootstrapServers "registry.url" $values.registry.url "cql.contactPoints" $values.cql.contactPoints "search.url" $values.search.url }}
{{- range $key, $value := $given }}
{{- if not $value }}
{{- fail (printf "%s is required: give the address of a server that is there (the chart brings none); docs/kubernetes.md shows how" $key) }}
{{- end }}
{{- end }}
{{- range $property, $value := $values.kafka.properties }}
{{- if regexMatch "(password|secret|\\.pem$|jaas)" $property }}
{{- fail (printf "kafka.properties: %s is a secret: put it into a Secret, name that in kafka.existingSecret, and the key in kafka.secretProperties" $property) }}
{{- end }}
{{- if and (eq $property "security.protocol") (not (has (upper $value) (list "PLAINTEXT" "SASL_PLAINTEXT"))) }}
{{- fail (printf "kafka.properties: security.protocol is %s: this version of Folio has no TLS to Kafka; give PLAINTEXT or SASL_PLAINTEXT" $value) }}
{{- end }}
{{- end }}
{{- if and (eq $values.topics.manage "strimzi") (not $values.topics.strimzi.cluster) }}
{{- fail "topics.strimzi.cluster is required where topics.manage is strimzi: give the name of the Kafka resource" }}
{{- end }}
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
{{- if and $values.kafka.existingSecret (not (and (hasKey $values.kafka.secretProperties "sasl.username") (hasKey $values.kafka.secretProperties "sasl.password"))) }}
{{- fail "projectors: KEDA signs in to Kafka with sasl.username and sasl.password: name their keys in kafka.secretProperties" }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- range $key := list "commandService" "queryGateway" }}
{{- with (get $values $key).autoscaling }}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
{{- fail (printf "%s.autoscaling: minReplicas is more than maxReplicas" $key) }}
{{- end }}
{{- end }}
{{- end }}
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
{{- end }}
