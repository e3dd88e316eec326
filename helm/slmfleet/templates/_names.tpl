{{/* Names, labels and images. */}}

{{- define "slmfleet.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 40 characters: KubeRay takes 47 for a RayService and appends to it. */}}
{{- define "slmfleet.fullname" -}}
{{- $name := include "slmfleet.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels of an object; call with (dict "root" $ "component" NAME). */}}
{{- define "slmfleet.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: slmfleet
{{ include "slmfleet.selector" . }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* By what pods that are not Ray's are selected. */}}
{{- define "slmfleet.selector" -}}
app.kubernetes.io/name: {{ include "slmfleet.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Metadata of an object; call with (dict "root" $ "component" NAME "name" NAME "labels" {} "annotations" {}). */}}
{{- define "slmfleet.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "slmfleet.labels" . | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Labels of Ray's pods. No version, since a changed pod template starts a new cluster; no
     app.kubernetes.io/name, by which KubeRay's own services select. */}}
{{- define "slmfleet.raySelector" -}}
app.kubernetes.io/part-of: slmfleet
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Selects head and workers. */}}
{{- define "slmfleet.allRay" -}}
matchLabels:
  app.kubernetes.io/part-of: slmfleet
  app.kubernetes.io/instance: {{ .Release.Name }}
matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: [ray-head, ray-worker]}
{{- end -}}

{{/* An image; call with (dict "image" VALUES "tag" DEFAULT). */}}
{{- define "slmfleet.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .tag }}
{{- end -}}
{{- end -}}

{{- define "slmfleet.ownImage" -}}
{{ include "slmfleet.image" (dict "image" .Values.image "tag" .Chart.AppVersion) }}
{{- end -}}

{{- define "slmfleet.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "slmfleet.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "slmfleet.authSecret" -}}
{{- .Values.auth.existingSecret | default (printf "%s-auth" (include "slmfleet.fullname" .)) -}}
{{- end -}}

{{/* The Service of the gateway, as KubeRay names it. */}}
{{- define "slmfleet.gatewayService" -}}
{{ include "slmfleet.fullname" . }}-serve-svc
{{- end -}}
