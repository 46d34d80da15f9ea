{{/* What KEDA needs to ask Kafka for the groups' lag, by its own names; empty where Kafka asks for nothing. */}}
{{- define "folio.kedaCredentials" -}}
{{- $sasl := .Values.kafka.sasl }}
{{- $tls := include "folio.tls" (dict "root" . "section" "kafka") | fromJson }}
{{- $secrets := list }}
{{- if include "folio.usesSasl" . }}
{{- if not $sasl.username }}
{{- $secrets = append $secrets (dict "parameter" "username" "name" $sasl.existingSecret "key" $sasl.usernameKey) }}
{{- end }}
{{- $secrets = append $secrets (dict "parameter" "password" "name" $sasl.existingSecret "key" $sasl.passwordKey) }}
{{- end }}
{{- if $tls.ca }}
{{- $secrets = append $secrets (dict "parameter" "ca" "name" $tls.ca "key" $tls.caKey) }}
{{- end }}
{{- if $tls.certificate }}
{{- $secrets = append $secrets (dict "parameter" "cert" "name" $tls.certificate "key" $tls.certificateKey) }}
{{- $secrets = append $secrets (dict "parameter" "key" "name" $tls.certificate "key" $tls.keyKey) }}
{{- end }}
{{- with $secrets }}
secretTargetRef:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if and (include "folio.usesSasl" .) $sasl.username }}
{{- /* No Secret holds it: it stands in the variables of the pods that are scaled. */}}
env:
  - {parameter: username, name: FOLIO__KAFKA__SASL__USERNAME}
{{- end }}
{{- end }}
