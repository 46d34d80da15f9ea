{{/* Contradictions among addresses, certificates and credentials: what is given and would not be used is refused like what is missing. */}}

{{- define "folio.validateKafka" -}}
{{- $kafka := .Values.kafka }}
{{- $sasl := $kafka.sasl }}
{{- range $key, $new := dict "existingSecret" "kafka.sasl.existingSecret" "secretProperties" "kafka.sasl.usernameKey and kafka.sasl.passwordKey (other secret settings: extraEnv)" }}
{{- if hasKey $kafka $key }}
{{- fail (printf "kafka.%s was removed in 0.2.0: give %s, and kafka.securityProtocol; helm/folio/UPGRADING.md says more" $key $new) }}
{{- end }}
{{- end }}
{{- $own := dict "bootstrap.servers" "kafka.bootstrapServers" "security.protocol" "kafka.securityProtocol" "sasl.mechanism" "kafka.sasl.mechanism" "sasl.mechanisms" "kafka.sasl.mechanism" "sasl.username" "kafka.sasl" "ssl.ca.location" "kafka.tls" "ssl.certificate.location" "kafka.tls" "ssl.key.location" "kafka.tls" }}
{{- range $property, $value := $kafka.properties }}
{{- if hasKey $own $property }}
{{- fail (printf "kafka.properties: %s has a value of its own: give %s" $property (get $own $property)) }}
{{- end }}
{{- if regexMatch "(password|secret|\\.pem$|jaas)" $property }}
{{- fail (printf "kafka.properties: %s is a secret: put it into a Secret; sasl.password has kafka.sasl.existingSecret, others go by extraEnv as FOLIO__KAFKA__PROPERTIES__%s" $property ($property | upper | replace "." "_")) }}
{{- end }}
{{- end }}
{{- if and (or $kafka.tls.existingSecret $kafka.tls.clientCertificateSecret) (not (hasSuffix "SSL" $kafka.securityProtocol)) }}
{{- fail (printf "kafka.tls has a Secret, and kafka.securityProtocol is %s, which is without TLS: give SSL or SASL_SSL, or no Secret" $kafka.securityProtocol) }}
{{- end }}
{{- $token := $sasl.serviceAccountToken.enabled }}
{{- $fetched := $sasl.clientCredentials.tokenUrl }}
{{- if not (include "folio.usesSasl" .) }}
{{- if or $sasl.existingSecret $token $fetched }}
{{- fail (printf "kafka.sasl has credentials, and kafka.securityProtocol is %s, which asks for none: give SASL_SSL (or SASL_PLAINTEXT), or no credentials" $kafka.securityProtocol) }}
{{- end }}
{{- else if eq $sasl.mechanism "OAUTHBEARER" }}
{{- if and $token $fetched }}
{{- fail "kafka.sasl: a token comes from serviceAccountToken or from clientCredentials.tokenUrl, and both are given: leave one out" }}
{{- end }}
{{- if not (or $token $fetched) }}
{{- fail "kafka.sasl.mechanism is OAUTHBEARER, which needs a token: give kafka.sasl.serviceAccountToken.enabled: true, or kafka.sasl.clientCredentials.tokenUrl" }}
{{- end }}
{{- if and $fetched (not $sasl.existingSecret) }}
{{- fail "kafka.sasl.clientCredentials needs a client's id and secret: name the Secret that holds them in kafka.sasl.existingSecret" }}
{{- end }}
{{- if and $token $sasl.existingSecret }}
{{- fail "kafka.sasl.existingSecret is given, and the pods' own token is what they sign in with (serviceAccountToken): leave one out" }}
{{- end }}
{{- else }}
{{- if or $token $fetched }}
{{- fail (printf "kafka.sasl: serviceAccountToken and clientCredentials are for OAUTHBEARER, and kafka.sasl.mechanism is %s: give OAUTHBEARER, or neither" $sasl.mechanism) }}
{{- end }}
{{- if not $sasl.existingSecret }}
{{- fail (printf "kafka.securityProtocol is %s, which needs credentials: name the Secret with name and password in kafka.sasl.existingSecret" $kafka.securityProtocol) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "folio.validateAuth" -}}
{{- $auth := .Values.auth }}
{{- $ways := compact (list $auth.oidc.issuer $auth.keys.existingSecret) }}
{{- if $auth.certificates }}{{ $ways = append $ways "certificates" }}{{ end }}
{{- if and $auth.allowAnonymous $ways }}
{{- fail "auth: allowAnonymous is true, and oidc.issuer, keys.existingSecret or certificates is given, which nobody would look at: leave one out" }}
{{- end }}
{{- if not (or $auth.allowAnonymous $ways) }}
{{- fail "auth: nobody could call: give oidc.issuer, keys.existingSecret or certificates (docs/security.md), or allowAnonymous: true, and then whoever reaches a port may do everything" }}
{{- end }}
{{- if and $auth.oidc.issuer (not $auth.oidc.audiences) }}
{{- fail "auth.oidc.audiences is required with an issuer: give what tokens for Folio have as `aud`" }}
{{- end }}
{{- if and $auth.certificates (not .Values.tls.doors.clientCaSecret) }}
{{- fail "auth.certificates: no client is asked for one: give tls.doors.clientCaSecret too" }}
{{- end }}
{{- if not (or $auth.allowAnonymous $auth.oidc.issuer $auth.keys.existingSecret) }}
{{- fail "auth.certificates: port 9464 asks for none, and a projector has no other: give oidc.issuer or keys.existingSecret too" }}
{{- end }}
{{- end }}

{{- define "folio.validateCredentials" -}}
{{- $values := .Values }}
{{- include "folio.validateAuth" . }}
{{- $urls := dict "registry" (list "registry.url" $values.registry.url) "search" (list "search.url" $values.search.url) "telemetry" (list "telemetry.otlpEndpoint" $values.telemetry.otlpEndpoint) }}
{{- range $section, $url := $urls }}
{{- $tls := (get $values $section).tls }}
{{- if and (or $tls.existingSecret $tls.clientCertificateSecret) (not (hasPrefix "https://" (last $url))) }}
{{- fail (printf "%s.tls has a Secret, and %s does not begin with https://, so it would not be used: give an https address, or no Secret" $section (first $url)) }}
{{- end }}
{{- end }}
{{- with $values.cql.tls }}
{{- if and (or .existingSecret .clientCertificateSecret .serverName) (not .enabled) }}
{{- fail "cql.tls has a Secret or a name, and cql.tls.enabled is false: give cql.tls.enabled: true, or neither" }}
{{- end }}
{{- end }}
{{- range $section := list "registry" "cql" "search" }}
{{- with get $values $section }}
{{- if and .username (not .existingSecret) }}
{{- fail (printf "%s.username is given without a password: name the Secret that holds it in %s.existingSecret" $section $section) }}
{{- end }}
{{- end }}
{{- end }}
{{- with $values.search }}
{{- if and .apiKeyKey (not .existingSecret) }}
{{- fail "search.apiKeyKey names a key of a Secret, and there is no Secret: name it in search.existingSecret" }}
{{- end }}
{{- if and .apiKeyKey .username }}
{{- fail "search: apiKeyKey and username are both given, and only one of API key and user can sign in: leave one out" }}
{{- end }}
{{- end }}
{{- with $values.telemetry }}
{{- if ne (empty .otlpHeaders.keys) (empty .otlpHeaders.existingSecret) }}
{{- fail "telemetry.otlpHeaders: existingSecret names the Secret, and keys which header is in which of its keys: give both, or neither" }}
{{- end }}
{{- if and .otlpHeaders.keys (not .otlpEndpoint) }}
{{- fail "telemetry.otlpHeaders is given, and no traces are sent: give telemetry.otlpEndpoint, or no headers" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "folio.validateDoors" -}}
{{- $tls := .Values.tls }}
{{- if hasKey $tls.ops "clientCaSecret" }}
{{- fail "tls.ops.clientCaSecret is not to be had: the kubelet shows no certificate, so every probe would fail and every pod be restarted. Leave it out, and say who may reach the port in networkPolicy.monitoring" }}
{{- end }}
{{- if and $tls.doors.clientCaSecret (not $tls.doors.existingSecret) }}
{{- fail "tls.doors.clientCaSecret asks clients for certificates, which needs TLS: name the Secret of the doors' own certificate in tls.doors.existingSecret" }}
{{- end }}
{{- with .Values.test }}
{{- if and (or .tls.existingSecret .tls.clientCertificateSecret) (not $tls.doors.existingSecret) }}
{{- fail "test.tls has a Secret, and the doors have no TLS: give tls.doors.existingSecret, or no Secret" }}
{{- end }}
{{- if and .enabled $tls.doors.clientCaSecret (not .tls.clientCertificateSecret) }}
{{- fail "tls.doors.clientCaSecret asks every client for a certificate, and `helm test` has none: name a Secret with one in test.tls.clientCertificateSecret, or give test.enabled: false" }}
{{- end }}
{{- end }}
{{- end }}
