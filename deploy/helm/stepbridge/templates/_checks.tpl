{{/* What cannot work is refused while it is rendered: what is wrong, and what would be right. */}}

{{- define "stepbridge.checks" -}}
{{- include "stepbridge.checkDrain" . }}
{{- include "stepbridge.checkSecrets" . }}
{{- include "stepbridge.checkFiles" . }}
{{- include "stepbridge.checkPeers" . }}
{{- include "stepbridge.checkScaling" . }}
{{- include "stepbridge.checkAdmin" . }}
{{- end }}

{{- define "stepbridge.checkDrain" -}}
{{- $grace := include "stepbridge.graceSeconds" . | int }}
{{- $drain := include "stepbridge.drainSeconds" . | int }}
{{- if le $grace $drain }}
{{- fail (printf "terminationGracePeriodSeconds: %d leaves no time for the drain, which may take %d s (config.drain.delay_ms + timeout_ms): write more, or leave it out" $grace $drain) }}
{{- end }}
{{- end }}

{{- define "stepbridge.checkSecrets" -}}
{{- if and .Values.secrets.existingSecret .Values.secrets.values }}
{{- fail "secrets: existingSecret and values are both given: keep one" }}
{{- end }}
{{- with include "stepbridge.spokenSecrets" . }}
{{- fail (printf "config has the text of a secret (%s), and stands in a ConfigMap that many may read: write ${NAME} there, or its _file key, and the text into secrets" .) }}
{{- end }}
{{- if not (or .Values.extraEnvFrom (and .Values.secrets.existingSecret .Values.secrets.env)) }}
{{- with include "stepbridge.missingVariables" . }}
{{- fail (printf "config reads %s from the environment, and nothing gives it: write secrets.existingSecret (the name of a Secret with that key), secrets.values or extraEnv" .) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "stepbridge.checkFiles" -}}
{{- with include "stepbridge.missingFiles" . }}
{{- fail (printf "config names %s, and nothing is mounted there: write secrets.files: true with that key in the Secret, or certificates with that name" .) }}
{{- end }}
{{- end }}

{{- define "stepbridge.checkPeers" -}}
{{- $groups := include "stepbridge.groups" . }}
{{- $processes := mul (include "stepbridge.mostReplicas" .) (include "stepbridge.workers" .) }}
{{- if and $groups (gt $processes 1) (not .Values.config.peer) }}
{{- fail (printf "config.peer is away, and routes read for groups (%s) in %d processes: a record waits at one of them, its client may be at another. Leave config.peer as it is" $groups $processes) }}
{{- end }}
{{- end }}

{{- define "stepbridge.checkScaling" -}}
{{- with .Values.autoscaling }}
{{- if and .enabled (not .cpu) (not .requestsInFlight) }}
{{- fail "autoscaling: neither cpu nor requestsInFlight says when: write one" }}
{{- end }}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
{{- fail "autoscaling: minReplicas is above maxReplicas" }}
{{- end }}
{{- if and .enabled .cpu (not (dig "requests" "cpu" "" $.Values.resources)) }}
{{- fail "autoscaling.cpu is a share of resources.requests.cpu, which is not there: write it" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "stepbridge.checkAdmin" -}}
{{- $admin := .Values.config.admin }}
{{- if eq (dig "tls" "client_auth" "none" $admin) "required" }}
{{- fail "config.admin.tls.client_auth: required keeps kubelet's probes out, and no pod would become ready: write optional" }}
{{- end }}
{{- if and (kindIs "map" .Values.config.auth) (not $admin.auth) }}
{{- fail "config.auth tells callers apart, and config.admin.auth does not say who operators are: write their keys there, or none" }}
{{- end }}
{{- if kindIs "map" $admin.auth }}
{{- $open := $admin.auth.open | default (list "health") }}
{{- if not (has "health" $open) }}
{{- fail "config.admin.auth.open: without health kubelet's probes are kept out, and no pod would become ready: add it" }}
{{- end }}
{{- $shown := or .Values.serviceMonitor.endpoint.authorization .Values.serviceMonitor.endpoint.basicAuth }}
{{- if and .Values.serviceMonitor.enabled (not (has "metrics" $open)) (not $shown) }}
{{- fail "serviceMonitor: config.admin.auth keeps Prometheus out: write serviceMonitor.endpoint.authorization, or metrics into config.admin.auth.open" }}
{{- end }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.adminFrom) }}
{{- fail "serviceMonitor: networkPolicy.adminFrom lets nobody reach the admin port: name Prometheus's namespace there" }}
{{- end }}
{{- end }}
