{{/*
Arguments of the provisioner for topology, as a JSON list. For a claim that waits for its pod, the pod's node is the only
place that the provisioner requests. For other claims it requests none, because it would take the roots of one random node
for those of all nodes. Capacity shows the scheduler which nodes have the root of a class. With topology off the gate is off
too: a driver of before the upgrade may still run and offer topology, and the provisioner would then wait for nodes that it
has no right to list, and keep the lease.
*/}}
{{- define "gpfs-csi.topologyArgs" -}}
{{- $flags := list "--strict-topology" "--immediate-topology=false" "--enable-capacity" "--capacity-ownerref-level=2" -}}
{{- ternary $flags (list "--feature-gates=Topology=false") .Values.topology.enabled | toJson -}}
{{- end -}}

{{/* One container of the controller. Takes a list: the root context, its name, its port, its own arguments. */}}
{{- define "gpfs-csi.sidecar" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $port := index . 2 -}}
{{- $own := index . 3 -}}
{{- $sidecars := $root.Values.sidecars -}}
{{- with index $sidecars $name -}}
- name: {{ $name }}
  image: {{ include "gpfs-csi.image" (list $root .image) }}
  imagePullPolicy: {{ .image.pullPolicy }}
  args:
    - --csi-address=/csi/csi.sock
    - --timeout={{ $sidecars.timeout }}
    - --leader-election
    - --leader-election-namespace=$(NAMESPACE)
    - --http-endpoint=:{{ $port }}
    - --kube-api-qps={{ $sidecars.kubeApi.qps }}
    - --kube-api-burst={{ $sidecars.kubeApi.burst }}
    - --v={{ $sidecars.logLevel }}
    {{- range $own }}
    - {{ . }}
    {{- end }}
    {{- with .extraArgs }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  env:
    - name: NAMESPACE
      valueFrom:
        fieldRef:
          fieldPath: metadata.namespace
    {{- if and (eq $name "provisioner") $root.Values.topology.enabled }}
    # The Deployment of this pod owns the capacities that the provisioner writes.
    - name: POD_NAME
      valueFrom:
        fieldRef:
          fieldPath: metadata.name
    {{- end }}
  ports:
    - name: {{ $name }}
      containerPort: {{ $port }}
  # For a process that hangs. A sidecar notices by itself when it cannot reach the driver (docs/adr/0010-replicas.md).
  livenessProbe:
    httpGet:
      path: /healthz/leader-election
      port: {{ $name }}
    periodSeconds: 20
    timeoutSeconds: 10
    failureThreshold: 3
  securityContext:
    runAsNonRoot: true
    {{- include "gpfs-csi.hardened" $root | nindent 4 }}
    {{- with include "gpfs-csi.socketSeLinux" $root }}
    {{- . | nindent 4 }}
    {{- end }}
  {{- with .resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  volumeMounts:
    # A process can still connect to a socket on a read-only mount.
    - name: socket
      mountPath: /csi
      readOnly: true
{{- end -}}
{{- end -}}
