import { ok } from 'node:assert/strict';
import type { Manifest, Space } from './kube.ts';
import { podImage } from './setup/places.ts';
import { patienceMs, until } from './setup/wait.ts';
import type { Node } from './cluster/node.ts';

/** The chart's own class, for claims and for snapshots. */
export const className = 'gpfs-csi';

/** Options of a claim. */
export interface ClaimOptions {
  readonly size?: string;
  readonly className?: string;
  readonly block?: boolean;
  readonly access?: 'ReadWriteOnce' | 'ReadWriteMany' | 'ReadWriteOncePod' | 'ReadOnlyMany';
  /** Made from a snapshot or from another claim. */
  readonly from?: {
    readonly kind: 'VolumeSnapshot' | 'PersistentVolumeClaim';
    readonly name: string;
  };
}

/** A claim of 1 GiB with a file system, unless said otherwise. */
export const claim = (name: string, options: ClaimOptions = {}): Manifest => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name },
  spec: {
    storageClassName: options.className ?? className,
    accessModes: [options.access ?? 'ReadWriteOnce'],
    volumeMode: options.block === true ? 'Block' : 'Filesystem',
    resources: { requests: { storage: options.size ?? '1Gi' } },
    ...(options.from === undefined ? {} : { dataSource: dataSource(options.from) }),
  },
});

const dataSource = ({ kind, name }: NonNullable<ClaimOptions['from']>): unknown =>
  kind === 'VolumeSnapshot' ? { apiGroup: 'snapshot.storage.k8s.io', kind, name } : { kind, name };

/** A snapshot of a claim. */
export const snapshot = (name: string, of: string, snapshotClass = className): Manifest => ({
  apiVersion: 'snapshot.storage.k8s.io/v1',
  kind: 'VolumeSnapshot',
  metadata: { name },
  spec: { volumeSnapshotClassName: snapshotClass, source: { persistentVolumeClaimName: of } },
});

/** Options of a pod; by default it only waits. */
export interface PodOptions {
  readonly claim: string;
  readonly node?: Node;
  readonly script?: string;
  readonly block?: boolean;
  readonly tolerateAll?: boolean;
}

/** Where a pod sees its volume. */
export const volumePath = '/volume';

/** A pod with one volume that runs a shell script, or only waits. */
export const pod = (name: string, options: PodOptions): Manifest => {
  const volume =
    options.block === true
      ? { volumeDevices: [{ name: 'volume', devicePath: volumePath }] }
      : { volumeMounts: [{ name: 'volume', mountPath: volumePath }] };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 0,
      ...(options.node === undefined
        ? {}
        : { nodeSelector: { 'kubernetes.io/hostname': options.node.name } }),
      ...(options.tolerateAll === true ? { tolerations: [{ operator: 'Exists' }] } : {}),
      containers: [
        {
          name: 'shell',
          image: podImage,
          command: ['sh', '-c', options.script ?? 'while :; do sleep 3600; done'],
          ...volume,
        },
      ],
      volumes: [{ name: 'volume', persistentVolumeClaim: { claimName: options.claim } }],
    },
  };
};

/** A script that writes 1, 2, 3 and so on, each synced, and ends when that fails. */
export const countFor = (path: string): string =>
  `n=0; while :; do n=$((n+1)); echo $n >> ${path} || exit 1; sync; sleep 0.1; done`;

const leastCount = 20;

/** Waits until a pod that runs countFor has counted some numbers. */
export async function counts(space: Space, name: string, path: string): Promise<void> {
  await space.reaches(`pod/${name}`, '.status.phase', 'Running');
  await until(`${name} has counted to ${leastCount}`, patienceMs, async () => {
    return Number(await space.exec(name, `tail -n 1 ${path}`)) >= leastCount;
  });
}

/** Fails unless a text holds all numbers that countFor had written by the end of `counts`, and no gap. */
export function isCount(text: string): void {
  const lines = text.trim().split('\n').map(Number);
  ok(
    lines.length >= leastCount && lines.every((line, n) => line === n + 1),
    `each line is one more than that before it, of ${lines.length}`,
  );
}
