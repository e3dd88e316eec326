{{/* What Ray Serve runs: serveConfigV2 of the RayService, and deploy/serve.yaml. */}}

{{/* How many replicas, and where; call with values that have autoscaling, replicas and maxReplicasPerNode. */}}
{{- define "slmfleet.scale" -}}
{{- if .autoscaling.enabled -}}
autoscaling_config:
  min_replicas: {{ .autoscaling.minReplicas }}
  max_replicas: {{ .autoscaling.maxReplicas }}
  target_ongoing_requests: {{ .autoscaling.targetOngoingRequests }}
  upscale_delay_s: {{ .autoscaling.upscaleDelaySeconds }}
  downscale_delay_s: {{ .autoscaling.downscaleDelaySeconds }}
{{- else -}}
num_replicas: {{ .replicas }}
{{- end -}}
{{- with .maxReplicasPerNode }}
max_replicas_per_node: {{ . }}
{{- end -}}
{{- end -}}

{{/* The values of a domain's specialist: its own over those of all. */}}
{{- define "slmfleet.specialist" -}}
{{- mergeOverwrite (deepCopy .root.Values.specialist) (omit .domain "name") | toYaml -}}
{{- end -}}

{{- define "slmfleet.serveConfig" -}}
{{- $fleet := .Values.fleet -}}
{{- $most := 1 -}}
{{- if eq $fleet.placement "split" -}}
{{- range $fleet.domains -}}
{{- $its := include "slmfleet.specialist" (dict "root" $ "domain" .) | fromYaml -}}
{{- $most = max $most (ternary $its.autoscaling.maxReplicas $its.replicas $its.autoscaling.enabled | int) -}}
{{- end -}}
{{- end -}}
proxy_location: EveryNode
http_options:
  host: 0.0.0.0
  port: 8000
logging_config:
  enable_access_log: false
applications:
  - name: slmfleet
    route_prefix: /
    import_path: slmfleet.services.serve.app:fleet
    args:
      placement: {{ $fleet.placement }}
      {{- with $fleet.dir }}
      fleet_dir: {{ . }}
      {{- end }}
      {{- if eq $fleet.placement "split" }}
      specialist_max_replicas: {{ $most }}
      {{- end }}
      max_ongoing_requests: {{ .Values.gateway.maxOngoingRequests }}
      max_queued_requests: {{ .Values.gateway.maxQueuedRequests }}
      request_timeout_s: {{ .Values.gateway.requestTimeoutSeconds }}
      {{- with .Values.settings }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    deployments:
      - name: gateway
        {{- include "slmfleet.scale" .Values.gateway | nindent 8 }}
        ray_actor_options: {num_cpus: {{ .Values.gateway.numCpus }}}
        user_config: {revision: {{ $fleet.revision | quote }}}
      {{- if eq $fleet.placement "split" }}
      {{- range $fleet.domains }}
      {{- $its := include "slmfleet.specialist" (dict "root" $ "domain" .) | fromYaml }}
      - name: specialist-{{ .name }}
        {{- include "slmfleet.scale" $its | nindent 8 }}
        ray_actor_options: {num_cpus: {{ $its.numCpus }}}
        user_config: {revision: {{ $fleet.revision | quote }}}
      {{- end }}
      {{- end }}
{{- end -}}
