import {
  groupSnapshotApi,
  openshiftApi,
  snapshotApi,
  type RenderOptions,
  type Values,
} from './helm.ts';

/** One way to install the chart. */
export interface Case {
  readonly values: Values;
  readonly options?: RenderOptions;
}

const roots = ['/gpfs/fs1/csi'];
const sidecar = { registry: 'example.org', repository: 'team/sidecar', tag: 'v1' };

/** The cases whose manifests are kept in `snapshots` and reviewed in diffs. */
export const kept: Readonly<Record<string, Case>> = {
  smallest: { values: { roots } },
  openshift: {
    values: { roots: ['/var/mnt/fs1/csi'], mountPoints: ['/var/mnt/fs1'] },
    options: { apis: [snapshotApi, openshiftApi] },
  },
  simulator: { values: { simulator: { enabled: true } } },
  everything: {
    values: {
      roots: ['/gpfs/fs1/csi', '/gpfs/fs2/csi', '/ibm/fs3/a/b'],
      pool: 'data',
      owner: '11111111-2222-3333-4444-555555555555',
      driverName: 'gpfs.example.org',
      kubeletDir: '/var/lib/k0s/kubelet',
      image: { repository: 'example.org/gpfs-csi', digest: `sha256:${'0'.repeat(64)}` },
      global: { imagePullSecrets: [{ name: 'one' }] },
      imagePullSecrets: [{ name: 'two' }],
      commonLabels: { team: 'storage' },
      storageClasses: [
        {
          name: 'fast',
          default: true,
          fsType: 'ext4',
          parameters: { root: '/gpfs/fs2/csi', pool: 'nvme', dataReplicas: 2, metadataReplicas: 3 },
        },
        {
          name: 'kept',
          reclaimPolicy: 'Retain',
          volumeBindingMode: 'WaitForFirstConsumer',
          allowVolumeExpansion: false,
          mountOptions: ['noatime'],
          labels: { a: 'b' },
          annotations: { c: 'd' },
        },
      ],
      volumeSnapshotClasses: [{ name: 'kept', default: true, deletionPolicy: 'Retain' }],
      groupSnapshots: 'always',
      volumeGroupSnapshotClasses: [{ name: 'together', deletionPolicy: 'Retain' }],
      volumeAttributesClasses: [{ name: 'gold', parameters: { pool: 'nvme' } }],
      node: {
        nodeSelector: { 'example.org/gpfs': 'true' },
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [
                {
                  matchExpressions: [
                    { key: 'kubernetes.io/arch', operator: 'In', values: ['amd64'] },
                  ],
                },
              ],
            },
          },
        },
        bootIdFile: '/run/boot-id',
        stateDirectory: '/opt/gpfs-csi',
        podLabels: { x: 'y' },
        podAnnotations: { z: '1' },
        extraEnv: [{ name: 'GPFS_CSI_SHUTDOWN_GRACE', value: '10000' }],
      },
      controller: {
        replicas: 3,
        nodeSelector: { 'node-role.kubernetes.io/worker': '' },
        nodeAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            {
              weight: 1,
              preference: {
                matchExpressions: [
                  { key: 'kubernetes.io/arch', operator: 'In', values: ['amd64'] },
                ],
              },
            },
          ],
        },
        seLinuxOptions: { level: 's0:c1,c2' },
        podLabels: { x: 'y' },
        podAnnotations: { z: '1' },
      },
      sidecars: {
        provisioner: { image: sidecar, extraArgs: ['--worker-threads=10'] },
        registrar: { enabled: true, extraArgs: ['--http-endpoint=:9810'] },
        livenessprobe: { enabled: true },
      },
      serviceAccounts: { annotations: { e: 'f' } },
      networkPolicy: {
        enabled: true,
        metricsFrom: [{ namespaceSelector: { matchLabels: { a: 'b' } } }],
      },
      metrics: {
        podMonitor: { enabled: true, labels: { release: 'prometheus' } },
        rules: {
          enabled: true,
          labels: { release: 'prometheus' },
          alertLabels: { team: 'storage' },
        },
      },
      extraDeploy: [
        'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-extra\n',
        { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'more' } },
      ],
    },
  },
};

/** More ways, rendered and checked but not kept. */
export const more: Readonly<Record<string, Case>> = {
  dashboards: {
    values: {
      roots,
      metrics: { dashboards: { enabled: true, labels: { a: 'b' }, annotations: { c: 'd' } } },
    },
  },
  'no snapshots': { values: { roots }, options: { apis: [] } },
  'snapshots never': { values: { roots, snapshots: 'never' } },
  'snapshots always': { values: { roots, snapshots: 'always' }, options: { apis: [] } },
  'group snapshots': {
    values: { roots, groupSnapshots: 'auto' },
    options: { apis: [snapshotApi, groupSnapshotApi] },
  },
  'another release and namespace': {
    values: { roots },
    options: { release: 'storage', namespace: 'kube-system' },
  },
  'another place': { values: { roots, namespaceOverride: 'elsewhere', fullnameOverride: 'disk' } },
  'existing accounts, no roles': {
    values: {
      roots,
      rbac: { create: false },
      serviceAccounts: { create: false, node: 'a', controller: 'b' },
    },
  },
  'one registry': { values: { roots, global: { imageRegistry: 'mirror.example.org' } } },
  'no classes': { values: { roots, storageClasses: [], volumeSnapshotClasses: [] } },
  'mm commands in the container': { values: { roots, mmRunner: 'direct', mmDirectory: '/opt/mm' } },
  topology: {
    values: {
      roots: ['/gpfs/fs1/csi', '/gpfs/fs2/csi'],
      topology: { enabled: true },
      storageClasses: [
        {
          name: 'second',
          volumeBindingMode: 'WaitForFirstConsumer',
          parameters: { root: '/gpfs/fs2/csi' },
          allowedTopologies: [
            {
              matchLabelExpressions: [{ key: 'gpfs-clone.csi/root-0123abcd', values: ['mounted'] }],
            },
          ],
        },
      ],
    },
  },
  'nodes upgraded by hand': { values: { roots, node: { updateStrategy: 'OnDelete' } } },
  'no driver object, no budget': {
    values: {
      roots,
      csiDriver: { create: false },
      controller: { podDisruptionBudget: { enabled: false } },
    },
  },
  'the sidecars of nodes on OpenShift': {
    values: {
      roots,
      sidecars: { registrar: { enabled: true }, livenessprobe: { enabled: true } },
    },
    options: { apis: [snapshotApi, openshiftApi] },
  },
  'a simulator on OpenShift with monitoring': {
    values: {
      simulator: { enabled: true, size: '5G' },
      node: { nodeSelector: { 'kubernetes.io/hostname': 'a' } },
      networkPolicy: { enabled: true },
      metrics: { podMonitor: { enabled: true }, rules: { enabled: true } },
    },
    options: { apis: [openshiftApi] },
  },
};
