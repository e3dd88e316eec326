{{/* What no schema can say. Each fault names the value and what would do. */}}
{{- define "slmfleet.checks" -}}
{{- if gt (len (include "slmfleet.fullname" .)) 40 -}}
{{- fail "fullnameOverride: at most 40 characters, since KubeRay appends to it" -}}
{{- end -}}
{{- $scaled := dict "specialist.autoscaling" .Values.specialist.autoscaling "gateway.autoscaling" .Values.gateway.autoscaling "consumer.scaling" .Values.consumer.scaling -}}
{{- $names := list -}}
{{- range .Values.fleet.domains -}}
{{- if has .name $names -}}{{- fail (printf "fleet.domains: %s is named twice" .name) -}}{{- end -}}
{{- $names = append $names .name -}}
{{- $its := include "slmfleet.specialist" (dict "root" $ "domain" .) | fromYaml -}}
{{- $_ := set $scaled (printf "fleet.domains, %s" .name) $its.autoscaling -}}
{{- end -}}
{{- $groups := list -}}
{{- range .Values.ray.workerGroups -}}
{{- if has .name $groups -}}{{- fail (printf "ray.workerGroups: %s is named twice" .name) -}}{{- end -}}
{{- $groups = append $groups .name -}}
{{- $_ := set $scaled (printf "ray.workerGroups, %s" .name) . -}}
{{- if or (lt (int .replicas) (int .minReplicas)) (gt (int .replicas) (int .maxReplicas)) -}}
{{- fail (printf "ray.workerGroups, %s: replicas must lie between minReplicas and maxReplicas" .name) -}}
{{- end -}}
{{- end -}}
{{- range $where, $scale := $scaled -}}
{{- if gt (int $scale.minReplicas) (int $scale.maxReplicas) -}}
{{- fail (printf "%s: minReplicas must not be above maxReplicas" $where) -}}
{{- end -}}
{{- end -}}
{{- if ge (int .Values.ray.worker.drainSeconds) (int .Values.ray.worker.terminationGracePeriodSeconds) -}}
{{- fail "ray.worker.terminationGracePeriodSeconds: must be above drainSeconds" -}}
{{- end -}}
{{- if and (eq .Values.redis.mode "external") (not .Values.redis.external.existingSecret) -}}
{{- fail "redis.external.existingSecret: name the Secret whose `url` is the Redis's" -}}
{{- end -}}
{{- if and .Values.ray.gcsFaultTolerance.enabled (not .Values.ray.gcsFaultTolerance.redisAddress) -}}
{{- fail "ray.gcsFaultTolerance.redisAddress: give host:port of the Redis for the cluster's state" -}}
{{- end -}}
{{- with .Values.consumer -}}
{{- if and .enabled (eq $.Values.redis.mode "none") (not .broker.existingSecret) -}}
{{- fail "consumer.broker.existingSecret: without a Redis, name the Secret whose `url` is the broker's" -}}
{{- end -}}
{{- if and .enabled (eq .scaling.type "keda") (not .scaling.triggers) (or .broker.existingSecret (ne $.Values.redis.mode "bundled")) -}}
{{- fail "consumer.scaling.triggers: only the bundled Redis has one by itself; give KEDA's triggers" -}}
{{- end -}}
{{- if and .enabled (eq .scaling.type "hpa") (not (dig "requests" "cpu" "" .resources)) -}}
{{- fail "consumer.resources.requests.cpu: hpa scales by a share of it" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.fleet.existingClaim (not .Values.fleet.dir) -}}
{{- fail "fleet.dir: name the fleet's folder below fleet.mountPath" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs: name a gateway to attach to" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- fail "ingress.hosts: name a host" -}}
{{- end -}}
{{- end -}}
