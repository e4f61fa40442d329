{{/*
Folders of the host to mount, as a JSON list: the parent of each GPFS mount point. A mount of the file system itself
would keep it busy, and be dead after a restart of GPFS. A parent inside another parent is mounted with that one.
*/}}
{{- define "gpfs-csi.parents" -}}
{{- $parents := list -}}
{{- if not .Values.simulator.enabled -}}
{{- range (include "gpfs-csi.mountPoints" . | fromJsonArray) -}}
{{- $parents = append $parents (dir .) -}}
{{- end -}}
{{- end -}}
{{- $outer := list -}}
{{- range $parent := uniq $parents -}}
{{- $covered := false -}}
{{- range $other := $parents -}}
{{- if hasPrefix (printf "%s/" $other) $parent }}{{ $covered = true }}{{ end -}}
{{- end -}}
{{- if not $covered }}{{ $outer = append $outer $parent }}{{ end -}}
{{- end -}}
{{- toJson $outer -}}
{{- end -}}

{{/* Mount points of GPFS, as a JSON list: those of the values, or the first two elements of each root. */}}
{{- define "gpfs-csi.mountPoints" -}}
{{- $points := .Values.mountPoints -}}
{{- if not $points -}}
{{- range (include "gpfs-csi.rootList" . | fromJsonArray) -}}
{{- $points = append $points (regexFind "^/[^/]+/[^/]+" .) -}}
{{- end -}}
{{- end -}}
{{- uniq $points | toJson -}}
{{- end -}}

{{/* Refuses values that contradict each other, and says what to do. */}}
{{- define "gpfs-csi.check" -}}
{{- include "gpfs-csi.checkForms" . -}}
{{- if .Values.simulator.enabled -}}
{{- include "gpfs-csi.checkSimulator" . -}}
{{- else -}}
{{- if not (include "gpfs-csi.rootList" . | fromJsonArray) -}}
{{- fail "roots is empty: name the GPFS directories that volumes live in, as in --set 'roots={/gpfs/fs1/csi}', or try the driver with --set simulator.enabled=true" -}}
{{- end -}}
{{- include "gpfs-csi.checkMountPoints" . -}}
{{- end -}}
{{- include "gpfs-csi.checkClasses" . -}}
{{- if and .Values.topology.enabled .Values.sidecars.registrar.enabled -}}
{{- fail "topology.enabled and sidecars.registrar.enabled exclude each other: the registrar registers the driver once, and a node that mounts a root later would never get its label; leave the registering to the driver" -}}
{{- end -}}
{{- $timeout := .Values.sidecars.timeout -}}
{{- if and (regexMatch "^[0-9]+s$" $timeout) (le (mul 1000 (trimSuffix "s" $timeout | int)) (int .Values.requestLimitMs)) -}}
{{- fail (printf "sidecars.timeout is %s, and the driver may take %d ms for a request: raise it, or lower requestLimitMs, so that no request is sent again while it runs" $timeout (int .Values.requestLimitMs)) -}}
{{- end -}}
{{- end -}}

{{- define "gpfs-csi.checkMountPoints" -}}
{{- $points := include "gpfs-csi.mountPoints" . | fromJsonArray -}}
{{- range $root := (include "gpfs-csi.rootList" . | fromJsonArray) -}}
{{- $inside := false -}}
{{- range $points -}}
{{- if or (eq . $root) (hasPrefix (printf "%s/" .) $root) }}{{ $inside = true }}{{ end -}}
{{- end -}}
{{- if not $inside -}}
{{- fail (printf "root %s lies in none of mountPoints (%s): name the mount point of its file system" $root (join ", " $points)) -}}
{{- end -}}
{{- end -}}
{{- $own := list "/bin" "/boot" "/csi" "/csi-controller" "/dev" "/etc" "/host" "/lib" "/lib32" "/lib64" "/libx32" "/opt/gpfs-csi" "/proc" "/registration" "/root" "/sbin" "/sys" "/tmp" "/usr" "/var/lib/gpfs-csi" "/var/tmp" .Values.kubeletDir -}}
{{- range $point := $points -}}
{{- $parent := dir $point -}}
{{- range $folder := $own -}}
{{- if or (eq $parent $folder) (hasPrefix (printf "%s/" $folder) $parent) -}}
{{- fail (printf "mount point %s lies in %s, which the driver or the system needs for itself: mount the file system elsewhere, as at /gpfs/fs1" $point $folder) -}}
{{- end -}}
{{- end -}}
{{- if has $parent (list "/" "/opt" "/run" "/var" "/var/lib") -}}
{{- fail (printf "mount point %s lies directly in %s, which cannot be mounted into the driver: name the file system's own mount point in mountPoints, or mount it in a folder of its own, as /gpfs/fs1" $point $parent) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "gpfs-csi.checkClasses" -}}
{{- $roots := splitList "," (include "gpfs-csi.roots" .) -}}
{{- $default := 0 -}}
{{- range .Values.storageClasses -}}
{{- if .default }}{{ $default = add1 $default }}{{ end -}}
{{- $root := dig "parameters" "root" "" . -}}
{{- if and $root (not (has $root $roots)) -}}
{{- fail (printf "storage class %s names root %s, which is not one of roots: %s" .name $root (join ", " $roots)) -}}
{{- end -}}
{{- end -}}
{{- if gt (int $default) 1 -}}
{{- fail "more than one of storageClasses is the default: choose one" -}}
{{- end -}}
{{- end -}}

{{- define "gpfs-csi.checkSimulator" -}}
{{- $nodes := dig "items" list (lookup "v1" "Node" "" "") -}}
{{- if and (gt (len $nodes) 1) (not .Values.node.nodeSelector) -}}
{{- fail (printf "simulator.enabled gives a file system to one node, and this cluster has %d: choose one, as in --set node.nodeSelector.'kubernetes\\.io/hostname'=NODE, and run the pods that use it there" (len $nodes)) -}}
{{- end -}}
{{- end -}}
