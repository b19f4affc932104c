{{/* What things are called. Names are cut so that a suffix still fits into 63 characters. */}}

{{- define "stepbridge.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "stepbridge.fullname" -}}
{{- $name := include "stepbridge.name" . }}
{{- $both := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- .Values.fullnameOverride | default $both | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "stepbridge.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "stepbridge.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "stepbridge.secret" -}}
{{- .Values.secrets.existingSecret | default (ternary (include "stepbridge.fullname" .) "" (not (empty .Values.secrets.values))) }}
{{- end }}

{{- define "stepbridge.image" -}}
{{- $image := .Values.image }}
{{- ternary (printf "%s@%s" $image.repository $image.digest) (printf "%s:%s" $image.repository ($image.tag | default .Chart.AppVersion)) (not (empty $image.digest)) }}
{{- end }}

{{- define "stepbridge.selector" -}}
app.kubernetes.io/name: {{ include "stepbridge.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "stepbridge.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "stepbridge.selector" . }}
{{- end }}
