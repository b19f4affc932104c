{{/* What is said after an installation. A template of its own, so that it can be rendered without a cluster. */}}

{{- define "stepbridge.notes" -}}
{{- $name := include "stepbridge.fullname" . -}}
{{ $name }}: {{ len .Values.config.routes }} route(s){{ if not .Values.autoscaling.enabled }} at {{ .Values.replicas }} pod(s){{ end }}. Wait until they serve:

  kubectl --namespace {{ .Release.Namespace }} rollout status deployment/{{ $name }}

A mistake in the file keeps new pods from starting, and leaves the old ones in place. It is in their log:

  kubectl --namespace {{ .Release.Namespace }} logs --selector app.kubernetes.io/instance={{ .Release.Name }} --tail 20

The state of each route and group, from within a pod:

  kubectl --namespace {{ .Release.Namespace }} exec deployment/{{ $name }} -- stepbridge routes
  kubectl --namespace {{ .Release.Namespace }} exec deployment/{{ $name }} -- stepbridge groups
{{- if .Values.ingress.enabled }}

From outside:
{{ range .Values.ingress.hosts }}
  {{ ternary "https" "http" (not (empty $.Values.ingress.tls)) }}://{{ .host }}
{{- end }}
{{- end }}

And a request of your own, through a port of this machine:

  kubectl --namespace {{ .Release.Namespace }} port-forward service/{{ $name }} 8080:{{ .Values.service.port }} &
  {{ include "stepbridge.curl" . }}
{{- end }}
