{{/* A request that a route would take, for the notes: as `stepbridge check --live` makes one up. */}}

{{/* The route of notes.route, else the first that writes, else the first; as JSON. */}}
{{- define "stepbridge.sampleRoute" -}}
{{- $found := dict }}
{{- range .Values.config.routes }}
{{- if and (not $found) $.Values.notes.route (eq (.name | default "") $.Values.notes.route) }}{{ $found = . }}{{ end }}
{{- end }}
{{- if and $.Values.notes.route (not $found) }}
{{- fail (printf "notes.route: no route of config has the name %s" $.Values.notes.route) }}
{{- end }}
{{- range .Values.config.routes }}
{{- if and (not $found) .produce }}{{ $found = . }}{{ end }}
{{- end }}
{{- toJson ($found | default (first .Values.config.routes)) }}
{{- end }}

{{- define "stepbridge.samplePath" -}}
{{- $path := regexReplaceAll "\\{([A-Za-z_][A-Za-z0-9_-]*)(\\.\\.\\.)?\\}" (last (splitList " " .route)) "sample-${1}" }}
{{- $query := list }}
{{- range include "stepbridge.fields" (list . "query") | fromJsonArray }}{{ $query = append $query (printf "%s=sample-%s" . .) }}{{ end }}
{{- if and .consume (not .consume.closed) }}{{ $query = append $query "wait=5" }}{{ end }}
{{- $path }}{{ if $query }}?{{ $query | uniq | join "&" }}{{ end }}
{{- end }}

{{/* The names that a route's templates take from one source (body, header, query), as a JSON array. */}}
{{- define "stepbridge.fields" -}}
{{- $route := first . }}{{ $source := last . }}
{{- $names := list }}
{{- $texts := pick ($route.produce | default dict) "key" "headers" "partition" "timestamp" }}
{{- range regexFindAll (printf "\\{%s\\.[^{}]+\\}" $source) (print (toJson $texts) (toJson ($route.response | default dict))) -1 }}
{{- $names = append $names (trimSuffix "}" (trimPrefix (printf "{%s." $source) .)) }}
{{- end }}
{{- toJson ($names | uniq) }}
{{- end }}

{{/* The body as JSON; empty where the route looks into none. Takes the root and the route. */}}
{{- define "stepbridge.sampleBody" -}}
{{- $root := first . }}{{ $route := last . }}
{{- $produce := $route.produce }}
{{- $fields := include "stepbridge.fields" (list $route "body") | fromJsonArray }}
{{- if kindIs "string" $root.Values.notes.body }}{{ $root.Values.notes.body }}
{{- else if not (kindIs "invalid" $root.Values.notes.body) }}{{ toJson $root.Values.notes.body }}
{{- else if or $produce.schema $fields }}
{{- $document := dict }}
{{- with $produce.schema }}
{{- $document = include "stepbridge.example" (index $root.Values.schemas (base .) | default "{}" | fromJson) | fromJson }}
{{- $document = ternary $document.value dict (kindIs "map" $document.value) }}
{{- end }}
{{- range $fields }}
{{- $node := $document }}
{{- range initial (splitList "." .) }}
{{- if not (kindIs "map" (get $node .)) }}{{ $_ := set $node . dict }}{{ end }}
{{- $node = index $node . }}
{{- end }}
{{- $name := last (splitList "." .) }}
{{- if not (hasKey $node $name) }}{{ $_ := set $node $name (include "stepbridge.sampleValue" (list $produce .)) }}{{ end }}
{{- end }}
{{- ternary (toJson (list $document)) (toJson $document) (not (empty $produce.batch)) }}
{{- end }}
{{- end }}

{{/* What stands for one body field: a time or a number where the record's timestamp or partition is made of it. */}}
{{- define "stepbridge.sampleValue" -}}
{{- $produce := first . }}{{ $placeholder := printf "{body.%s}" (last .) }}
{{- if contains $placeholder ($produce.timestamp | default "") }}2026-01-31T12:00:00Z
{{- else if contains $placeholder ($produce.partition | default "") }}0
{{- else }}sample-{{ last (splitList "." (last .)) }}{{ end }}
{{- end }}

{{/* {"value": …} that a JSON Schema describes: what it requires, by example, enum, const, default or type. */}}
{{- define "stepbridge.example" -}}
{{- $schema := ternary . dict (kindIs "map" .) }}
{{- $type := $schema.type | default (ternary "object" "" (hasKey $schema "properties")) }}
{{- if kindIs "slice" $type }}{{ $type = first $type }}{{ end }}
{{- $value := "sample" }}
{{- if $schema.examples }}{{ $value = first $schema.examples }}
{{- else if $schema.enum }}{{ $value = first $schema.enum }}
{{- else if hasKey $schema "const" }}{{ $value = $schema.const }}
{{- else if hasKey $schema "default" }}{{ $value = $schema.default }}
{{- else if eq $type "object" }}
{{- $value = dict }}
{{- range $schema.required }}
{{- $_ := set $value . (include "stepbridge.example" (get ($schema.properties | default dict) .) | fromJson).value }}
{{- end }}
{{- else if eq $type "array" }}{{ $value = list (include "stepbridge.example" $schema.items | fromJson).value }}
{{- else if or (eq $type "integer") (eq $type "number") }}
{{- $above := ternary (add1 (int $schema.exclusiveMinimum)) 0 (hasKey $schema "exclusiveMinimum") }}
{{- $value = max (int $schema.minimum) $above }}
{{- else if eq $type "boolean" }}{{ $value = true }}
{{- else if eq $type "null" }}{{ $value = "" }}
{{- else if $schema.format }}
{{- $formats := dict "date-time" "2026-01-31T12:00:00Z" "date" "2026-01-31" "uuid" "00000000-0000-4000-8000-000000000000" }}
{{- $value = get $formats $schema.format | default "sample" }}
{{- end }}
{{- toJson (dict "value" $value) }}
{{- end }}

{{/* What a caller of the route shows, for a shell: the first scheme there is. Takes config.auth and the route's. */}}
{{- define "stepbridge.credential" -}}
{{- $auth := first . }}
{{- if and (kindIs "map" $auth) (ne (toString (last .)) "none") }}
{{- if or $auth.keys $auth.file }} -H "{{ $auth.key_header | default "X-Api-Key" }}: $KEY"
{{- else if $auth.basic }} -u "$USER_NAME:$PASSWORD"
{{- else if $auth.jwt }} -H "Authorization: Bearer $TOKEN"
{{- else if $auth.certificates }} --cert client.crt --key client.key
{{- end }}
{{- end }}
{{- end }}

{{/* The whole command. Single quotes within JSON become their escape. */}}
{{- define "stepbridge.curl" -}}
{{- $route := include "stepbridge.sampleRoute" . | fromJson }}
{{- $method := first (splitList " " $route.route) }}
{{- $scheme := ternary "https" "http" (not (empty .Values.config.server.tls)) -}}
curl -si{{ if eq $scheme "https" }}k{{ end }}{{ if not (has $method (list "GET" "POST" "*")) }} -X {{ $method }}{{ end }} '{{ $scheme }}://localhost:8080{{ include "stepbridge.samplePath" $route }}'
{{- range .Values.notes.headers }} -H {{ . | quote }}{{ end }}
{{- if not .Values.notes.headers }}{{ include "stepbridge.credential" (list .Values.config.auth ($route.auth | default "none")) }}{{ end }}
{{- range include "stepbridge.fields" (list $route "header") | fromJsonArray }}
{{- if ne (lower .) "user-agent" }} -H '{{ . }}: sample-{{ . }}'{{ end }}
{{- end }}
{{- if and $route.produce (not (and (hasKey $route.produce "value") (kindIs "invalid" $route.produce.value))) }}
{{- $body := include "stepbridge.sampleBody" (list . $route) }}
{{- $types := $route.produce.content_types | default (list (ternary "application/json" "text/plain" (not (empty $body)))) }} -H 'Content-Type: {{ first $types }}' -d '{{ $body | default "sample" | replace "'" "'\\''" }}'
{{- end }}
{{- end }}
