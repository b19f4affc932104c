{{/* What follows from `config`: nothing that stands there is asked for a second time. */}}

{{- define "stepbridge.drainSeconds" -}}
{{- div (add (int .Values.config.drain.delay_ms) (int .Values.config.drain.timeout_ms) 999) 1000 }}
{{- end }}

{{- define "stepbridge.graceSeconds" -}}
{{- .Values.terminationGracePeriodSeconds | default (add (include "stepbridge.drainSeconds" .) 15) }}
{{- end }}

{{/* A port for each worker, as a JSON array; empty without peers. */}}
{{- define "stepbridge.peerPorts" -}}
{{- $ports := list }}
{{- with .Values.config.peer }}
{{- $first := regexFind "[0-9]+$" .listen | int }}
{{- $ports = untilStep $first (add $first (include "stepbridge.workers" $) | int) 1 }}
{{- end }}
{{- toJson $ports }}
{{- end }}

{{- define "stepbridge.workers" -}}
{{- .Values.config.server.workers | default 1 | int }}
{{- end }}

{{- define "stepbridge.mostReplicas" -}}
{{- ternary .Values.autoscaling.maxReplicas .Values.replicas .Values.autoscaling.enabled | int }}
{{- end }}

{{- define "stepbridge.adminScheme" -}}
{{- ternary "https" "http" (not (empty .Values.config.admin.tls)) }}
{{- end }}

{{/*
Seconds that an ingress must stay quiet: above the longest wait of a poll (60 s), each route's heartbeat, and what Kafka
and upstreams may take for an answer.
*/}}
{{- define "stepbridge.quietSeconds" -}}
{{- $most := 60000 }}
{{- range .Values.config.routes }}
{{- with .consume }}{{ $most = max $most (int (.heartbeat_ms | default 0)) }}{{ end }}
{{- with .produce }}{{ $most = max $most (int (.timeout_ms | default 0)) }}{{ end }}
{{- end }}
{{- range .Values.config.upstreams }}
{{- $most = max $most (int (.timeout_ms | default 0)) (int (.idle_timeout_ms | default 0)) }}
{{- end }}
{{- add 15 (div (add $most 999) 1000) }}
{{- end }}

{{/* The largest body of any route; 0, which is any, where batches may stream in. */}}
{{- define "stepbridge.bodyBytes" -}}
{{- $common := dig "limits" "max_body_bytes" 1048576 .Values.config | int }}
{{- $most := $common }}
{{- $streams := false }}
{{- range .Values.config.routes }}
{{- $most = max $most (int (dig "limits" "max_body_bytes" 0 .)) }}
{{- $streams = or $streams (dig "produce" "batch" false .) }}
{{- end }}
{{- ternary 0 $most $streams }}
{{- end }}

{{/* Routes that read for a group, as a list with commas. */}}
{{- define "stepbridge.groups" -}}
{{- $groups := list }}
{{- range .Values.config.routes }}{{ with dig "consume" "group" "" . }}{{ $groups = append $groups . }}{{ end }}{{ end }}
{{- $groups | uniq | join ", " }}
{{- end }}

{{/* Files that `config` names and nothing mounts, as a list with commas. A Secret that is there already may have any key. */}}
{{- define "stepbridge.missingFiles" -}}
{{- $config := toYaml .Values.config }}
{{- $missing := list }}
{{- range regexFindAll "/run/secrets/stepbridge/[A-Za-z0-9._-]+" $config -1 }}
{{- $known := or $.Values.secrets.existingSecret (hasKey $.Values.secrets.values (base .)) }}
{{- if not (and $.Values.secrets.files $known) }}{{ $missing = append $missing . }}{{ end }}
{{- end }}
{{- $mounted := list }}
{{- range .Values.certificates }}{{ $mounted = append $mounted .name }}{{ end }}
{{- range regexFindAll "/etc/stepbridge-certificates/[A-Za-z0-9._-]+" $config -1 }}
{{- if not (has (base .) $mounted) }}{{ $missing = append $missing . }}{{ end }}
{{- end }}
{{- $missing | uniq | join ", " }}
{{- end }}

{{/* Keys of `config` that hold a secret in so many words, as a list with commas. */}}
{{- define "stepbridge.spokenSecrets" -}}
{{- $config := .Values.config }}
{{- $secrets := dict
  "secret" $config.secret
  "peer.secret" (dig "peer" "secret" list (omit $config (ternary "" "peer" (kindIs "map" $config.peer))))
  "kafka.security.password" (dig "kafka" "security" "password" "" $config)
  "kafka.security.key_password" (dig "kafka" "security" "key_password" "" $config)
  "kafka.security.oauth.client_secret" (dig "kafka" "security" "oauth" "client_secret" "" $config) }}
{{- $spoken := list }}
{{- range $key, $said := $secrets }}
{{- range (kindIs "slice" $said | ternary $said (list $said)) }}
{{- if and . (not (contains "${" .)) }}{{ $spoken = append $spoken $key }}{{ end }}
{{- end }}
{{- end }}
{{- $spoken | uniq | join ", " }}
{{- end }}

{{/* The variables that `config` cannot do without and nobody gives it, as a list with commas. */}}
{{- define "stepbridge.missingVariables" -}}
{{- $given := list "POD_IP" "POD_NAME" "POD_NAMESPACE" "STEPBRIDGE_ADMIN" }}
{{- if .Values.secrets.env }}{{ $given = concat $given (keys .Values.secrets.values) }}{{ end }}
{{- range .Values.extraEnv }}{{ $given = append $given .name }}{{ end }}
{{- $missing := list }}
{{- range regexFindAll "\\$\\{[A-Za-z_][A-Za-z0-9_]*\\}" (toYaml .Values.config | replace "$${" "") -1 }}
{{- $name := trimSuffix "}" (trimPrefix "${" .) }}
{{- if not (has $name $given) }}{{ $missing = append $missing $name }}{{ end }}
{{- end }}
{{- $missing | uniq | join ", " }}
{{- end }}
