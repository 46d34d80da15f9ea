{{/* How Prometheus reads a pod's metrics. Takes "root", "interval". */}}
{{- define "folio.endpoint" -}}
{{- $tls := .root.Values.tls.ops -}}
port: ops
path: /metrics
interval: {{ .interval }}
{{- if $tls.existingSecret }}
scheme: https
tlsConfig:
  # Prometheus comes by the pod's address, which no certificate has.
  serverName: {{ $tls.serverName | default (printf "%s-ops.%s.svc" (include "folio.fullname" .root) .root.Release.Namespace) }}
  {{- with $tls.caKey }}
  ca:
    secret: {name: {{ $tls.existingSecret }}, key: {{ . }}}
  {{- end }}
{{- end }}
{{- end }}
