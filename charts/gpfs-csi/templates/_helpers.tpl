{{- define "gpfs-csi.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "gpfs-csi.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "gpfs-csi.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "gpfs-csi.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "gpfs-csi.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "gpfs-csi.selector" -}}
app.kubernetes.io/name: {{ include "gpfs-csi.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "gpfs-csi.labels" -}}
{{ include "gpfs-csi.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Takes a list: the root context, and an image of the values. */}}
{{- define "gpfs-csi.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $registry := default $image.registry $root.Values.global.imageRegistry -}}
{{- $name := ternary $image.repository (printf "%s/%s" $registry $image.repository) (empty $registry) -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default $root.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Labels of pods, without those that change with each version of the chart: these would restart the pods at every upgrade. */}}
{{- define "gpfs-csi.podLabels" -}}
{{ include "gpfs-csi.selector" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A JSON list. */}}
{{- define "gpfs-csi.pullSecrets" -}}
{{- concat .Values.global.imagePullSecrets .Values.imagePullSecrets | uniq | toJson -}}
{{- end -}}

{{- define "gpfs-csi.nodeAccount" -}}
{{- default (printf "%s-node" (include "gpfs-csi.fullname" .)) .Values.serviceAccounts.node -}}
{{- end -}}

{{- define "gpfs-csi.controllerAccount" -}}
{{- default (printf "%s-controller" (include "gpfs-csi.fullname" .)) .Values.serviceAccounts.controller -}}
{{- end -}}

{{- define "gpfs-csi.pluginDir" -}}
{{- printf "%s/plugins/%s" .Values.kubeletDir .Values.driverName -}}
{{- end -}}

{{- define "gpfs-csi.simulatorDir" -}}
{{- printf "%s/simulator" (include "gpfs-csi.pluginDir" .) -}}
{{- end -}}

{{/* The roots as a JSON list: a list, or a text with commas between them, as `--set roots=/gpfs/fs1/csi` gives it. */}}
{{- define "gpfs-csi.rootList" -}}
{{- $roots := .Values.roots -}}
{{- if kindIs "string" $roots }}{{ $roots = splitList "," $roots | compact }}{{ end -}}
{{- toJson $roots -}}
{{- end -}}

{{- define "gpfs-csi.roots" -}}
{{- if .Values.simulator.enabled -}}
{{- printf "%s/fs1/csi-data" (include "gpfs-csi.simulatorDir" .) -}}
{{- else -}}
{{- include "gpfs-csi.rootList" . | fromJsonArray | join "," -}}
{{- end -}}
{{- end -}}

{{- define "gpfs-csi.mmRunner" -}}
{{- ternary "direct" .Values.mmRunner .Values.simulator.enabled -}}
{{- end -}}

{{- define "gpfs-csi.mmDirectory" -}}
{{- ternary (printf "%s/bin" (include "gpfs-csi.simulatorDir" .)) .Values.mmDirectory .Values.simulator.enabled -}}
{{- end -}}

{{/* UID of the cluster; empty where helm cannot look it up and no value is set. */}}
{{- define "gpfs-csi.owner" -}}
{{- if .Values.owner -}}
{{- .Values.owner -}}
{{- else -}}
{{- dig "metadata" "uid" "" (lookup "v1" "Namespace" "" "kube-system") -}}
{{- end -}}
{{- end -}}

{{/* "true" where the sidecar and the classes of snapshots are wanted. */}}
{{- define "gpfs-csi.snapshots" -}}
{{- if eq .Values.snapshots "auto" -}}
{{- if .Capabilities.APIVersions.Has "snapshot.storage.k8s.io/v1" -}}true{{- end -}}
{{- else if eq .Values.snapshots "always" -}}true{{- end -}}
{{- end -}}

{{/* "true" where snapshots of groups are wanted too. */}}
{{- define "gpfs-csi.groupSnapshots" -}}
{{- if not (include "gpfs-csi.snapshots" .) -}}
{{- if eq .Values.groupSnapshots "always" -}}
{{- fail "groupSnapshots is always, and the snapshotter that would take them does not run: set snapshots to always, or install the CRDs of snapshot.storage.k8s.io/v1" -}}
{{- end -}}
{{- else if eq .Values.groupSnapshots "auto" -}}
{{- if .Capabilities.APIVersions.Has "groupsnapshot.storage.k8s.io/v1" -}}true{{- end -}}
{{- else if eq .Values.groupSnapshots "always" -}}true{{- end -}}
{{- end -}}

{{/* "true" where SecurityContextConstraints are wanted. */}}
{{- define "gpfs-csi.scc" -}}
{{- if eq .Values.openshift.scc "auto" -}}
{{- if .Capabilities.APIVersions.Has "security.openshift.io/v1" -}}true{{- end -}}
{{- else if eq .Values.openshift.scc "always" -}}true{{- end -}}
{{- end -}}

{{/*
SELinux options of a container that connects to a socket of the driver. No type of an ordinary container may connect to a
socket of a privileged one; empty where the chart does not know that SELinux is enforced.
*/}}
{{- define "gpfs-csi.socketSeLinux" -}}
{{- $openshift := ternary (dict "type" "spc_t") dict (eq (include "gpfs-csi.scc" .) "true") -}}
{{- with merge (deepCopy .Values.controller.seLinuxOptions) $openshift -}}
seLinuxOptions:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* What no container may do, except the driver itself. */}}
{{- define "gpfs-csi.hardened" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
seccompProfile:
  type: RuntimeDefault
{{- end -}}
