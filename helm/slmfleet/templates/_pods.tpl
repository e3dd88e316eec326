{{/* Parts of pods. */}}

{{/* Variables of every process that holds the fleet or a part of it. */}}
{{- define "slmfleet.env" -}}
- name: HF_HUB_OFFLINE
  value: "1"
- name: ORT_DISABLE_TELEMETRY
  value: "1"
- name: TOKENIZERS_PARALLELISM
  value: "false"
- name: SLMFLEET_STATE_DIR
  value: /var/lib/slmfleet
- name: SLMFLEET_API_KEYS
  valueFrom:
    secretKeyRef: {name: {{ include "slmfleet.authSecret" . }}, key: api-keys}
- name: SLMFLEET_TOKEN_SECRET
  valueFrom:
    secretKeyRef: {name: {{ include "slmfleet.authSecret" . }}, key: token-secret}
{{- with .Values.records.existingSecret }}
- name: SLMFLEET_RECORDS_URL
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: url}
{{- end }}
{{- if eq .Values.redis.mode "bundled" }}
- name: FLEET_REDIS_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ include "slmfleet.fullname" . }}-redis, key: password}
- name: SLMFLEET_REDIS_URL
  value: redis://:$(FLEET_REDIS_PASSWORD)@{{ include "slmfleet.fullname" . }}-redis:6379/0
{{- else if eq .Values.redis.mode "external" }}
- name: SLMFLEET_REDIS_URL
  valueFrom:
    secretKeyRef: {name: {{ .Values.redis.external.existingSecret }}, key: url}
{{- end }}
{{- end -}}

{{/* What Ray reads when it starts: the same on head and workers (services/settings.py says why). */}}
{{- define "slmfleet.rayEnv" -}}
- name: RAY_SERVE_ENABLE_HA_PROXY
  value: "1"
- name: RAY_SERVE_THROUGHPUT_OPTIMIZED
  value: "1"
- name: RAY_SERVE_HAPROXY_NBTHREAD
  value: {{ .Values.ray.haproxyThreads | quote }}
- name: RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH
  value: slmfleet.services.serve.middleware.serve_middlewares
- name: RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S
  value: "30"
- name: RAY_USAGE_STATS_ENABLED
  value: "0"
- name: RAY_worker_niceness
  value: "0"
{{- /* For a new head that has its predecessor's state but another address. Workers notice within 10 s of silence, not
120, that the old one is gone; and Serve waits for their replicas longer than 30 s, after which it would end them. */}}
- name: RAY_grpc_client_keepalive_timeout_ms
  value: "10000"
- name: RAY_SERVE_SLOW_STARTUP_WARNING_S
  value: "180"
{{- /* A worker that is gone without a word is missed after about 12 s, not 33: three checks of 3 s, 1 s apart. */}}
- name: RAY_health_check_period_ms
  value: "1000"
- name: RAY_health_check_timeout_ms
  value: "3000"
- name: RAY_health_check_failure_threshold
  value: "3"
{{- /* A request whose replica cannot be reached within a second, or ends without a byte of an answer, goes to
another: it may be answered twice, as answering changes nothing. */}}
- name: RAY_SERVE_HAPROXY_TIMEOUT_CONNECT_S
  value: "1"
- name: RAY_SERVE_HAPROXY_RETRY_ON
  value: conn-failure empty-response
- name: RAY_SERVE_HAPROXY_METRICS_PORT
  value: "9101"
- name: RAY_SERVE_HAPROXY_STATS_PORT
  value: "8404"
{{- if eq .Values.ray.auth.mode "disabled" }}
- name: RAY_AUTH_MODE
  value: disabled
{{- end }}
- name: HOME
  value: /tmp
{{ include "slmfleet.env" . }}
{{- with .Values.ray.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Folders that are written to; call with (dict "root" $ "extra" LIST "sharedMemory" SIZE). */}}
{{- define "slmfleet.volumes" -}}
- name: tmp
  emptyDir: {}
- name: state
  emptyDir: {}
{{- with .sharedMemory }}
- name: shared-memory
  emptyDir: {medium: Memory, sizeLimit: {{ . }}}
{{- end }}
{{- with .root.Values.fleet.existingClaim }}
- name: fleet
  persistentVolumeClaim: {claimName: {{ . }}, readOnly: true}
{{- end }}
{{- with .extra }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "slmfleet.volumeMounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: state, mountPath: /var/lib/slmfleet}
{{- if .sharedMemory }}
- {name: shared-memory, mountPath: /dev/shm}
{{- end }}
{{- if .root.Values.fleet.existingClaim }}
- {name: fleet, mountPath: {{ .root.Values.fleet.mountPath }}, readOnly: true}
{{- end }}
{{- with .extra }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Where a pod may run; call with its values. */}}
{{- define "slmfleet.placementOfPod" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "slmfleet.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A pod template of Ray; call with (dict "root" $ "component" NAME "group" VALUES "grace" SECONDS "preStop" COMMAND). */}}
{{- define "slmfleet.rayPod" -}}
{{- $root := .root }}
{{- $group := .group }}
{{- $head := eq .component "ray-head" }}
{{- $shared := $group.sharedMemory | default "256Mi" }}
metadata:
  labels:
    {{- include "slmfleet.raySelector" . | nindent 4 }}
    {{- with $group.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $group.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- if $root.Values.ray.autoscaler.enabled }}
  restartPolicy: Never
  {{- end }}
  serviceAccountName: {{ include "slmfleet.serviceAccount" $root }}
  # Only Ray's autoscaler, beside the head, speaks with Kubernetes.
  automountServiceAccountToken: {{ and $head $root.Values.ray.autoscaler.enabled }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .grace }}
  securityContext: {{- toYaml $root.Values.podSecurityContext | nindent 4 }}
  {{- include "slmfleet.pullSecrets" $root | nindent 2 }}
  {{- include "slmfleet.placementOfPod" $group | nindent 2 }}
  {{- if not $head }}
  topologySpreadConstraints:
    {{- if $group.topologySpreadConstraints }}
    {{- toYaml $group.topologySpreadConstraints | nindent 4 }}
    {{- else }}
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "slmfleet.raySelector" . | nindent 10 }}
    {{- end }}
  {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ include "slmfleet.ownImage" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      securityContext: {{- toYaml $root.Values.securityContext | nindent 8 }}
      ports:
        {{- if $head }}
        - {name: gcs-server, containerPort: 6379}
        - {name: dashboard, containerPort: 8265}
        {{- end }}
        - {name: serve, containerPort: 8000}
        - {name: metrics, containerPort: 8080}
        - {name: proxy-metrics, containerPort: 9101}
        - {name: proxy-stats, containerPort: 8404}
      env:
        {{- include "slmfleet.rayEnv" $root | nindent 8 }}
      {{- with $root.Values.ray.envFrom }}
      envFrom: {{- toYaml . | nindent 8 }}
      {{- end }}
      resources: {{- toYaml $group.resources | nindent 8 }}
      {{- with $group.livenessProbe }}
      livenessProbe: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $group.readinessProbe }}
      readinessProbe: {{- toYaml . | nindent 8 }}
      {{- end }}
      lifecycle:
        preStop:
          exec:
            command: [bash, -c, {{ .preStop | quote }}]
      volumeMounts:
        {{- include "slmfleet.volumeMounts" (dict "root" $root "extra" $group.extraVolumeMounts "sharedMemory" $shared) | nindent 8 }}
  volumes:
    {{- include "slmfleet.volumes" (dict "root" $root "extra" $group.extraVolumes "sharedMemory" $shared) | nindent 4 }}
{{- end -}}
