{{/* Credentials: always from Secrets that exist. Names and passwords are variables; certificates, keys and tokens are files of one
volume, each server's (and the doors') in a folder of its own. "section" is where the configuration has it, or `doors`, `ops`, `test`. */}}

{{- define "folio.files" -}}/etc/folio-credentials{{- end }}

{{/* Which Secrets hold a section's files, in JSON: "ca", "caKey", "certificate", "certificateKey", "keyKey". Towards a server the
authority is the server's; at a door it is that of the clients. Takes "root", "section". */}}
{{- define "folio.tls" -}}
{{- $values := .root.Values }}
{{- if has .section (list "doors" "ops") }}
{{- $tls := get $values.tls .section }}
{{- dict "ca" ($tls.clientCaSecret | default "") "caKey" ($tls.clientCaKey | default "") "certificate" $tls.existingSecret "certificateKey" $tls.certificateKey "keyKey" $tls.keyKey | toJson }}
{{- else if eq .section "privacy" }}
{{- /* It is reached by nobody: a file alone. */}}
{{- dict "ca" "" "certificate" "" | toJson }}
{{- else }}
{{- $tls := (get $values .section).tls }}
{{- dict "ca" $tls.existingSecret "caKey" $tls.caKey "certificate" $tls.clientCertificateSecret "certificateKey" $tls.certificateKey "keyKey" $tls.keyKey | toJson }}
{{- end }}
{{- end }}

{{/* The same as the configuration has it, in JSON: only what there is. Takes "root", "section", "caName". */}}
{{- define "folio.tlsFiles" -}}
{{- $tls := include "folio.tls" . | fromJson }}
{{- $folder := printf "%s/%s" (include "folio.files" .root) .section }}
{{- $files := dict }}
{{- if $tls.ca }}{{ $_ := set $files (.caName | default "ca_file") (printf "%s/ca.crt" $folder) }}{{ end }}
{{- if $tls.certificate }}{{ $_ := set $files "certificate_file" (printf "%s/tls.crt" $folder) }}{{ $_ := set $files "key_file" (printf "%s/tls.key" $folder) }}{{ end }}
{{- $files | toJson }}
{{- end }}

{{/* Whether Kafka asks who we are, and then whether by the pod's own token. */}}
{{- define "folio.usesSasl" -}}
{{- if hasPrefix "SASL_" .Values.kafka.securityProtocol }}true{{ end }}
{{- end }}
{{- define "folio.usesToken" -}}
{{- if and (include "folio.usesSasl" .) (eq .Values.kafka.sasl.mechanism "OAUTHBEARER") .Values.kafka.sasl.serviceAccountToken.enabled }}true{{ end }}
{{- end }}

{{/* The volume's sources. Takes "root", "sections". */}}
{{- define "folio.fileSources" -}}
{{- $root := .root }}
{{- range $section := .sections }}
{{- $tls := include "folio.tls" (dict "root" $root "section" $section) | fromJson }}
{{- if $tls.ca }}
- secret:
    name: {{ $tls.ca }}
    items: [{key: {{ $tls.caKey }}, path: {{ $section }}/ca.crt}]
{{- end }}
{{- if $tls.certificate }}
- secret:
    name: {{ $tls.certificate }}
    items: [{key: {{ $tls.certificateKey }}, path: {{ $section }}/tls.crt}, {key: {{ $tls.keyKey }}, path: {{ $section }}/tls.key}]
{{- end }}
{{- if and (eq $section "auth") $root.Values.auth.keys.existingSecret }}
- secret:
    name: {{ $root.Values.auth.keys.existingSecret }}
    items: [{key: {{ $root.Values.auth.keys.key }}, path: auth/keys.yaml}]
{{- end }}
{{- if and (eq $section "privacy") $root.Values.privacy.existingSecret }}
- secret:
    name: {{ $root.Values.privacy.existingSecret }}
    items: [{key: {{ $root.Values.privacy.key }}, path: privacy/keys.yaml}]
{{- end }}
{{- if and (eq $section "test") $root.Values.test.token.existingSecret }}
- secret:
    name: {{ $root.Values.test.token.existingSecret }}
    items: [{key: {{ $root.Values.test.token.key }}, path: test/token}]
{{- end }}
{{- if and (eq $section "kafka") (include "folio.usesToken" $root) }}
{{- $token := $root.Values.kafka.sasl.serviceAccountToken }}
- serviceAccountToken: {audience: {{ $token.audience | quote }}, expirationSeconds: {{ $token.expirationSeconds }}, path: kafka/token}
{{- end }}
{{- end }}
{{- end }}

{{/* The volume, if there is anything in it, as a list in YAML. Its files change with their Secrets: whoever reads them again sees new ones. */}}
{{- define "folio.fileVolumes" -}}
{{- with include "folio.fileSources" . | fromYamlArray }}
- name: credentials
  projected:
    # 0440: the pod's group (podSecurityContext.fsGroup) reads, nobody writes.
    defaultMode: 288
    sources:
      {{- toYaml . | nindent 6 }}
{{- end }}
{{- end }}

{{- define "folio.fileMounts" -}}
{{- if include "folio.fileSources" . }}
- {name: credentials, mountPath: {{ include "folio.files" .root }}, readOnly: true}
{{- end }}
{{- end }}

{{/* Variables, as a list in YAML. Takes "root", "sections". */}}
{{- define "folio.credentials" -}}
{{- $values := .root.Values }}
{{- range $section := .sections }}
{{- if eq $section "kafka" }}
{{- $sasl := $values.kafka.sasl }}
{{- if and (include "folio.usesSasl" $.root) (eq $sasl.mechanism "OAUTHBEARER") }}
{{- if $sasl.clientCredentials.tokenUrl }}
{{ include "folio.fromSecret" (dict "variable" "KAFKA__SASL__CLIENT_ID" "secret" $sasl.existingSecret "key" $sasl.clientCredentials.clientIdKey) }}
{{ include "folio.fromSecret" (dict "variable" "KAFKA__SASL__CLIENT_SECRET" "secret" $sasl.existingSecret "key" $sasl.clientCredentials.clientSecretKey) }}
{{- end }}
{{- else }}
{{- include "folio.nameAndPassword" (dict "section" "KAFKA__SASL" "of" $sasl) }}
{{- end }}
{{- else if has $section (list "auth" "privacy") }}
{{- /* They have files alone. */}}
{{- else if eq $section "telemetry" }}
{{- range $header, $key := $values.telemetry.otlpHeaders.keys }}
{{ include "folio.fromSecret" (dict "variable" (printf "TELEMETRY__OTLP_HEADERS__%s" (upper $header)) "secret" $values.telemetry.otlpHeaders.existingSecret "key" $key) }}
{{- end }}
{{- else }}
{{- with get $values $section }}
{{- if and .existingSecret .apiKeyKey }}
{{ include "folio.fromSecret" (dict "variable" (printf "%s__API_KEY" (upper $section)) "secret" .existingSecret "key" .apiKeyKey) }}
{{- else }}
{{- include "folio.nameAndPassword" (dict "section" (upper $section) "of" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "folio.nameAndPassword" -}}
{{- if .of.existingSecret }}
{{- if .of.username }}
- name: FOLIO__{{ .section }}__USERNAME
  value: {{ .of.username | quote }}
{{- else }}
{{ include "folio.fromSecret" (dict "variable" (printf "%s__USERNAME" .section) "secret" .of.existingSecret "key" .of.usernameKey) }}
{{- end }}
{{ include "folio.fromSecret" (dict "variable" (printf "%s__PASSWORD" .section) "secret" .of.existingSecret "key" .of.passwordKey) }}
{{- end }}
{{- end }}

{{- define "folio.fromSecret" -}}
- name: FOLIO__{{ .variable }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
{{- end }}

{{/* What changes when a Secret changes that its readers read only once: those of the servers, not of the doors. By version, not by
content: an annotation with the hash of a password would let whoever sees pods guess it. Empty where there is no cluster to ask. */}}
{{- define "folio.secretVersions" -}}
{{- $root := .root }}
{{- $names := list }}
{{- range $section := .sections }}
{{- if not (has $section (list "doors" "ops")) }}
{{- $tls := include "folio.tls" (dict "root" $root "section" $section) | fromJson }}
{{- $of := get $root.Values $section }}
{{- $names = concat $names (list $tls.ca $tls.certificate (get $of "existingSecret") (dig "sasl" "existingSecret" "" $of) (dig "otlpHeaders" "existingSecret" "" $of)) }}
{{- end }}
{{- end }}
{{- range compact $names | uniq | sortAlpha }}
{{- $secret := lookup "v1" "Secret" $root.Release.Namespace . }}
{{- if $secret }}{{ . }}@{{ $secret.metadata.resourceVersion }} {{ end }}
{{- end }}
{{- end }}
