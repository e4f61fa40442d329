{{/*
The forms that texts among the values have, and how they are said. The schema has types only: helm would show its
patterns to the administrator.
*/}}
{{- define "gpfs-csi.forms" -}}
root:
  form: '^(/[^/,]*[^/,.][^/,]*){2,}$'
  says: 'an absolute path of two elements or more, without commas and without empty, . or .. elements, such as /gpfs/fs1/csi'
path:
  form: '^(/[^/,]*[^/,.][^/,]*)+$'
  says: 'an absolute path without commas and without empty, . or .. elements, such as /gpfs/fs1'
pathOrNone:
  form: '^((/[^/,]*[^/,.][^/,]*)+)?$'
  says: 'empty, or an absolute path without commas and without empty, . or .. elements'
mountType:
  form: '^[a-z0-9._-]+$'
  says: 'the type of a mount as /proc/mounts has it, such as gpfs'
poolOrNone:
  form: '^([A-Za-z0-9][A-Za-z0-9._-]*)?$'
  says: 'empty, or the name of a storage pool, such as system'
pool:
  form: '^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$'
  says: 'the name of a storage pool, such as system'
owner:
  form: '^[A-Za-z0-9._-]{0,128}$'
  says: 'the UID of the namespace kube-system, as `kubectl get namespace kube-system -o jsonpath={.metadata.uid}` prints it'
driverName:
  form: '^[a-z]([-a-z0-9.]{0,61}[a-z])$'
  says: '2 to 63 lower-case letters, digits, dots or dashes, a letter first and last, such as gpfs-clone.csi'
address:
  form: '^[0-9A-Fa-f.:]{2,45}$'
  says: 'an address of IPv4 or IPv6, such as 10.0.0.1 or ::'
size:
  form: '^[0-9]+[KMGT](iB)?$'
  says: 'a number with K, M, G or T, such as 20G'
quantity:
  form: '^[0-9]+(\.[0-9]+)?([KMGTP]i?|m|k)?$'
  says: 'a quantity of Kubernetes, such as 1Gi'
duration:
  form: '^([0-9]+(ms|s|m|h))+$'
  says: 'a duration with its unit, such as 120s or 10m'
share:
  form: '^(0|[1-9][0-9]*|100%|[1-9]?[0-9]%)$'
  says: 'a number or a percentage up to 100%, such as 1 or 10%'
whole:
  form: '^[0-9]+$'
  says: 'a whole number'
tag:
  form: '^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$'
  says: 'empty, or the tag of an image, such as v1.2.3; a digest has a value of its own, digest'
digest:
  form: '^(sha256:[0-9a-f]{64})?$'
  says: 'empty, or the digest of an image, sha256 with a colon and 64 hex digits'
className:
  form: '^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$'
  says: 'the name of an object of Kubernetes, with lower-case letters, digits, dots and dashes, a letter or digit first and last'
{{- end -}}

{{/* Which values have which form. */}}
{{- define "gpfs-csi.formed" -}}
path: [mountPoints, mmDirectory, kubeletDir, node.machineIdFile]
pathOrNone: [node.stateDirectory, node.bootIdFile]
mountType: [mountType]
poolOrNone: [pool]
owner: [owner]
driverName: [driverName]
address: [node.httpAddress]
size: [simulator.size]
quantity: [test.size]
duration: [sidecars.timeout, sidecars.attacher.reconcileSync, metrics.podMonitor.interval]
share: [node.maxUnavailable, controller.podDisruptionBudget.maxUnavailable]
{{- $images := list "image" "test.image" -}}
{{- range list "provisioner" "attacher" "snapshotter" "resizer" "registrar" "livenessprobe" -}}
{{- $images = append $images (printf "sidecars.%s.image" .) -}}
{{- end }}
tag: [{{ range $images }}{{ . }}.tag, {{ end }}]
digest: [{{ range $images }}{{ . }}.digest, {{ end }}]
{{- end -}}

{{/* Refuses a text that has not its form. Takes a list: all forms, the form, the name of the value, the text. */}}
{{- define "gpfs-csi.checkForm" -}}
{{- $form := index (index . 0) (index . 1) -}}
{{- $text := toString (index . 3) -}}
{{- if not (regexMatch $form.form $text) -}}
{{- fail (printf "%s is %q, and must be %s" (index . 2) $text $form.says) -}}
{{- end -}}
{{- end -}}

{{/* Refuses each value whose form is wrong, with a sentence. */}}
{{- define "gpfs-csi.checkForms" -}}
{{- $forms := include "gpfs-csi.forms" . | fromYaml -}}
{{- range $n, $root := include "gpfs-csi.rootList" . | fromJsonArray -}}
{{- include "gpfs-csi.checkForm" (list $forms "root" (printf "roots[%d]" $n) $root) -}}
{{- end -}}
{{- range $form, $paths := include "gpfs-csi.formed" . | fromYaml -}}
{{- range $path := $paths -}}
{{- $value := $.Values -}}
{{- range splitList "." $path }}{{ $value = get (default dict $value) . }}{{ end -}}
{{- if kindIs "slice" $value -}}
{{- range $n, $each := $value -}}
{{- include "gpfs-csi.checkForm" (list $forms $form (printf "%s[%d]" $path $n) $each) -}}
{{- end -}}
{{- else -}}
{{- include "gpfs-csi.checkForm" (list $forms $form $path $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $kind := list "storageClasses" "volumeSnapshotClasses" "volumeGroupSnapshotClasses" "volumeAttributesClasses" -}}
{{- range $n, $class := get $.Values $kind -}}
{{- $at := printf "%s[%d]" $kind $n -}}
{{- include "gpfs-csi.checkForm" (list $forms "className" (printf "%s.name" $at) .name) -}}
{{- $kinds := dict "root" "path" "pool" "pool" "blockGroupFactor" "whole" "maxCloneDepth" "whole" -}}
{{- range $key, $value := default dict .parameters -}}
{{- with get $kinds $key -}}
{{- include "gpfs-csi.checkForm" (list $forms . (printf "%s.parameters.%s" $at $key) $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
