{{/* How one of Ray's or our own pages is scraped, in the operator's words: what deploy/prometheus/prometheus.yml
     keeps and renames, under the same job name, which the alerts look for.
     Call with (dict "root" $ "job" NAME "interval" DURATION). */}}
{{- define "slmfleet.scrape" -}}
interval: {{ .interval }}
relabelings:
  - {targetLabel: job, replacement: {{ .job }}}
{{- $config := .root.Files.Get "files/prometheus.yml" | fromYaml }}
{{- range $config.scrape_configs }}
{{- if and (eq .job_name $.job) .metric_relabel_configs }}
metricRelabelings:
  {{- range .metric_relabel_configs }}
  - action: {{ .action | default "replace" }}
    {{- with .source_labels }}
    sourceLabels: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .regex }}
    regex: {{ . | quote }}
    {{- end }}
    {{- with .target_label }}
    targetLabel: {{ . }}
    {{- end }}
    {{- with .replacement }}
    replacement: {{ . | quote }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}
