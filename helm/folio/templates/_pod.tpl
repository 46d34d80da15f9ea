{{/* What pods have in common. */}}

{{/* The pod template of a service. Takes "root", "component", "values", "config" (the name of its ConfigMap and of the template that
renders it), "program", "args", "sections" (whose credentials it has), "volumes", "mounts", "isDoor". */}}
{{- define "folio.pod" -}}
{{- $opsScheme := empty .root.Values.tls.ops.existingSecret | ternary "HTTP" "HTTPS" -}}
metadata:
  labels:
    {{- include "folio.selector" . | nindent 4 }}
    {{- with (merge (dict) .values.podLabels (include "folio.commonLabels" .root | fromYaml)) }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # A service reads its configuration once: another one needs other pods.
    checksum/config: {{ include (printf "folio.config.%s" .config) .root | sha256sum }}
    {{- if .root.Values.restartOnSecretChange }}
    {{- with include "folio.secretVersions" . }}
    checksum/credentials: {{ sha256sum . }}
    {{- end }}
    {{- end }}
    {{- with .values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "folio.podDefaults" .root | nindent 2 }}
  serviceAccountName: {{ include "folio.serviceAccount" .root }}
  # Readiness goes, requests are still taken for the drain delay, then what was accepted is answered; then the process ends by itself.
  # A preStop hook would only wait a second time.
  terminationGracePeriodSeconds: {{ add .root.Values.shutdown.drainDelaySeconds .root.Values.shutdown.graceSeconds 5 }}
  {{- with .values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    {{- if .values.topologySpreadConstraints }}
    {{- toYaml .values.topologySpreadConstraints | nindent 4 }}
    {{- else }}
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "folio.selector" $ | nindent 10 }}
    {{- end }}
    {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ include "folio.image" .root | quote }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      command: [/usr/local/bin/{{ .program }}]
      args:
        {{- toYaml (concat (list "--config" "/etc/folio/config.yaml") .args) | nindent 8 }}
      {{- $env := include "folio.credentials" (dict "root" .root "sections" .sections) | fromYamlArray }}
      {{- with concat $env .values.extraEnv }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        {{- if .isDoor }}
        - {name: http, containerPort: 8080}
        - {name: grpc, containerPort: 9090}
        {{- end }}
        - {name: ops, containerPort: 9464}
      # Alive is: the process works. It never asks for a server: restarting a process cures no Kafka. The start is over when the
      # process answers, not when it has read the log: one that is killed while it reads would only begin again.
      startupProbe:
        httpGet: {path: /livez, port: ops, scheme: {{ $opsScheme }}}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /livez, port: ops, scheme: {{ $opsScheme }}}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      # Ready is: every server is there, and the log is applied.
      readinessProbe:
        httpGet: {path: /readyz, port: ops, scheme: {{ $opsScheme }}}
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 2
      resources:
        {{- toYaml .values.resources | nindent 8 }}
      securityContext:
        {{- toYaml .root.Values.containerSecurityContext | nindent 8 }}
      volumeMounts:
        - {name: config, mountPath: /etc/folio, readOnly: true}
        {{- with include "folio.fileMounts" . }}
        {{- trim . | nindent 8 }}
        {{- end }}
        {{- with .mounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ include "folio.fullname" .root }}-{{ .config }}}
    {{- with include "folio.fileVolumes" . }}
    {{- trim . | nindent 4 }}
    {{- end }}
    {{- with .volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- define "folio.podDefaults" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with concat .Values.imagePullSecrets .Values.global.imagePullSecrets | uniq }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "folio.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "folio.fullname" .root }}-{{ .config }}
  labels:
    {{- include "folio.labels" (dict "root" .root "component" .config) | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- . | nindent 4 }}
  {{- end }}
data:
  config.yaml: |
    {{- include (printf "folio.config.%s" .config) .root | nindent 4 }}
{{- end }}

{{/* A Service for clients. */}}
{{- define "folio.door" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "folio.fullname" .root }}-{{ .component }}
  labels:
    {{- include "folio.labels" . | nindent 4 }}
  {{- with .values.service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .values.service.type }}
  selector:
    {{- include "folio.selector" . | nindent 4 }}
  ports:
    {{- $isTls := not (empty .root.Values.tls.doors.existingSecret) }}
    {{- $ports := include "folio.doorPorts" . | fromJson }}
    - {name: http, port: {{ $ports.http }}, targetPort: http, appProtocol: {{ $isTls | ternary "https" "http" }}}
    - {name: grpc, port: {{ $ports.grpc }}, targetPort: grpc, appProtocol: {{ $isTls | ternary "https" "kubernetes.io/h2c" }}}
{{- end }}

{{/* A Service for operators only: no clients come this way, and pods that are not ready are shown too. */}}
{{- define "folio.ops" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "folio.fullname" .root }}-{{ .component }}-ops
  labels:
    {{- include "folio.labels" . | nindent 4 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector:
    {{- include "folio.selector" . | nindent 4 }}
  ports:
    - {name: ops, port: 9464, targetPort: ops}
{{- end }}

{{/* Only where more than one pod runs: a budget for a single pod would keep its node from ever being drained. */}}
{{- define "folio.podDisruptionBudget" -}}
{{- if and .values.podDisruptionBudget.enabled (gt (int .least) 1) }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "folio.fullname" .root }}-{{ .component }}
  labels:
    {{- include "folio.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ .values.podDisruptionBudget.maxUnavailable }}
  # A pod that is not ready anyway must not keep a node from being drained.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "folio.selector" . | nindent 6 }}
{{- end }}
{{- end }}

{{- define "folio.horizontalPodAutoscaler" -}}
{{- if .values.autoscaling.enabled }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "folio.fullname" .root }}-{{ .component }}
  labels:
    {{- include "folio.labels" . | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: {{ .kind }}, name: {{ include "folio.fullname" .root }}-{{ .component }}}
  minReplicas: {{ .values.autoscaling.minReplicas }}
  maxReplicas: {{ .values.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ .values.autoscaling.targetCPUUtilizationPercentage }}}
{{- end }}
{{- end }}
