{{- /* What fleet processes may reach: names, their Redis and records. */ -}}
{{- define "slmfleet.egress" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- if eq .Values.redis.mode "bundled" }}
- to:
    - podSelector:
        matchLabels: {{- include "slmfleet.selector" (dict "root" . "component" "redis") | nindent 10 }}
  ports:
    - {port: 6379, protocol: TCP}
{{- else if eq .Values.redis.mode "external" }}
- ports:
    - {port: {{ .Values.redis.external.port }}, protocol: TCP}
{{- end }}
{{- if .Values.records.existingSecret }}
- ports:
    - {port: {{ .Values.records.port }}, protocol: TCP}
{{- end }}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}
