{{- define "gpfs-csi.driverEnv" -}}
- name: CSI_ENDPOINT
  value: unix:///csi/csi.sock
- name: GPFS_CSI_CONTROLLER_ENDPOINT
  value: unix:///csi-controller/csi.sock
- name: GPFS_CSI_CONTROLLER_GROUP
  value: {{ .Values.controller.group | quote }}
{{- if not .Values.sidecars.registrar.enabled }}
- name: GPFS_CSI_REGISTRATION_DIR
  value: /registration
- name: GPFS_CSI_KUBELET_ENDPOINT
  value: {{ include "gpfs-csi.pluginDir" . }}/csi.sock
{{- end }}
- name: GPFS_CSI_NODE_ID
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
- name: GPFS_CSI_ROOT
  value: {{ include "gpfs-csi.roots" . | quote }}
- name: GPFS_CSI_MM_RUNNER
  value: {{ include "gpfs-csi.mmRunner" . }}
- name: GPFS_CSI_MM_DIR
  value: {{ include "gpfs-csi.mmDirectory" . }}
- name: GPFS_CSI_MOUNT_TYPE
  value: {{ .Values.mountType }}
- name: GPFS_CSI_POOL
  value: {{ .Values.pool | quote }}
# The cluster that the roots belong to: the UID of its namespace kube-system.
- name: GPFS_CSI_OWNER
  value: {{ include "gpfs-csi.owner" . | quote }}
- name: GPFS_CSI_DRIVER_NAME
  value: {{ .Values.driverName }}
- name: GPFS_CSI_KUBELET_DIR
  value: {{ .Values.kubeletDir }}
- name: GPFS_CSI_STATE_DIR
  value: /var/lib/gpfs-csi
- name: GPFS_CSI_MACHINE_ID_PATH
  value: /host/machine-id
{{- if .Values.node.bootIdFile }}
- name: GPFS_CSI_BOOT_ID_PATH
  value: /host/boot-id
{{- end }}
- name: GPFS_CSI_MAX_VOLUMES_PER_NODE
  value: {{ .Values.node.maxVolumes | quote }}
- name: GPFS_CSI_HTTP_PORT
  value: {{ .Values.node.httpPort | quote }}
- name: GPFS_CSI_HTTP_ADDRESS
  value: {{ .Values.node.httpAddress | quote }}
- name: GPFS_CSI_METRICS_VOLUMES
  value: {{ .Values.metrics.volumes | quote }}
- name: GPFS_CSI_TOPOLOGY
  value: {{ .Values.topology.enabled | quote }}
- name: GPFS_CSI_COMPACTION
  value: {{ ternary "paused" "on" .Values.compaction.paused | quote }}
- name: GPFS_CSI_COMPACT_ATTACHED
  value: {{ .Values.compaction.attached | quote }}
- name: GPFS_CSI_COMPACT_FACTOR
  value: {{ .Values.compaction.factor | toString | quote }}
- name: GPFS_CSI_COMPACT_DEAD_SHARE
  value: {{ .Values.compaction.deadShare | toString | quote }}
- name: GPFS_CSI_COMPACT_PARALLEL
  value: {{ .Values.compaction.parallel | quote }}
- name: GPFS_CSI_COMPACT_PER_FILE_SYSTEM
  value: {{ .Values.compaction.perFileSystem | quote }}
- name: GPFS_CSI_MAX_CLONE_DEPTH
  value: {{ .Values.maxCloneDepth | quote }}
- name: GPFS_CSI_OVERCOMMIT_LIMIT
  value: {{ .Values.overcommitLimit | quote }}
- name: GPFS_CSI_RESERVE
  value: {{ .Values.reserve | quote }}
- name: GPFS_CSI_TRIM_HOURS
  value: {{ .Values.trimHours | quote }}
- name: GPFS_CSI_PROBE
  value: {{ .Values.probe }}
- name: GPFS_CSI_ALLOW_BUFFERED
  value: {{ .Values.allowBuffered | quote }}
- name: GPFS_CSI_LOG_LEVEL
  value: {{ .Values.logLevel }}
- name: GPFS_CSI_LOG_FORMAT
  value: {{ .Values.logFormat }}
- name: GPFS_CSI_REQUEST_LIMIT
  value: {{ .Values.requestLimitMs | quote }}
- name: UV_THREADPOOL_SIZE
  value: {{ .Values.node.threads | quote }}
{{- with .Values.node.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}
