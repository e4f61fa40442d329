{{/* How many PersistentVolumes are of a driver, as a number; 0 where helm looks nothing up. Takes the driver's name. */}}
{{- define "gpfs-csi.volumesOf" -}}
{{- $driver := . -}}
{{- $count := 0 -}}
{{- range dig "items" list (lookup "v1" "PersistentVolume" "" "") -}}
{{- if eq (dig "spec" "csi" "driver" "" .) $driver }}{{ $count = add1 $count }}{{ end -}}
{{- end -}}
{{- $count -}}
{{- end -}}

{{/* `1 PersistentVolume is`, `2 PersistentVolumes are`. */}}
{{- define "gpfs-csi.counted" -}}
{{- if eq (int .) 1 }}1 PersistentVolume is{{ else }}{{ . }} PersistentVolumes are{{ end -}}
{{- end -}}

{{/* The environment of the driver that is installed, as JSON; empty where there is none, or helm looks nothing up. */}}
{{- define "gpfs-csi.installed" -}}
{{- $found := dict -}}
{{- $set := lookup "apps/v1" "DaemonSet" (include "gpfs-csi.namespace" .) (printf "%s-node" (include "gpfs-csi.fullname" .)) -}}
{{- range dig "spec" "template" "spec" "containers" list $set -}}
{{- if eq .name "driver" -}}
{{- range .env }}{{ $_ := set $found .name (default "" .value) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* Refuses changes that cost the driver the volumes that it has, unless `force` is set. */}}
{{- define "gpfs-csi.checkUpgrade" -}}
{{- $now := include "gpfs-csi.installed" . | fromJson -}}
{{- $driver := get $now "GPFS_CSI_DRIVER_NAME" -}}
{{- if and $driver (not .Values.force) -}}
{{- $changes := list -}}
{{- if ne $driver .Values.driverName -}}
{{- $changes = append $changes (printf "driverName becomes %s, and no driver serves the volumes of %s" .Values.driverName $driver) -}}
{{- end -}}
{{- $owner := get $now "GPFS_CSI_OWNER" -}}
{{- if and $owner (ne $owner (include "gpfs-csi.owner" .)) -}}
{{- $changes = append $changes (printf "owner becomes %s, and the roots refuse the driver" (include "gpfs-csi.owner" . | default "empty")) -}}
{{- end -}}
{{- $roots := splitList "," (include "gpfs-csi.roots" .) -}}
{{- range splitList "," (get $now "GPFS_CSI_ROOT") -}}
{{- if not (has . $roots) -}}
{{- $changes = append $changes (printf "roots loses %s, and no volume in it can be used or deleted" .) -}}
{{- end -}}
{{- end -}}
{{- if $changes -}}
{{- $count := include "gpfs-csi.volumesOf" $driver -}}
{{- if gt (int $count) 0 -}}
{{- fail (printf "%s of driver %s, and with these values %s: leave the values as they are, delete the claims first, or set force=true if that is wanted (docs/upgrade.md)" (include "gpfs-csi.counted" $count) $driver (join "; " $changes)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
