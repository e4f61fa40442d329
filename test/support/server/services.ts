import type { Services } from '../../../src/service/api.ts';
import { GiB, MiB } from '../../../src/model/bytes.ts';
import { DriverError } from '../../../src/model/fault.ts';
import type { Snapshot, SnapshotGroup, Volume } from '../../../src/model/volume.ts';

/** Calls as the services saw them, in order. */
export interface Seen {
  readonly what: string;
  readonly ask: unknown;
}

/** The volume that the services return. */
export const volume: Volume = {
  id: 'pvc-1',
  bytes: 9_223_372_036_854_775_807n,
  context: { root: '/gpfs/fs1' },
  source: { kind: 'snapshot', id: 'snap-1' },
  publishedNodes: ['a1', 'b2'],
};

/** A snapshot cut half a second after a full one. */
const snapshot: Snapshot = {
  id: 'snap-1',
  sourceVolumeId: 'pvc-1',
  bytes: GiB,
  createdMs: 1_790_000_000_500,
  ready: true,
};

/** A group of that snapshot and nothing else. */
const group: SnapshotGroup = {
  id: 'group-1',
  snapshots: [{ ...snapshot, groupId: 'group-1' }],
  createdMs: 1_790_000_000_500,
};

/** Services that record each call and answer with success. */
export function memoryServices(): { readonly services: Services; readonly seen: readonly Seen[] } {
  const seen: Seen[] = [];
  const answering =
    <Reply>(what: string, reply: Reply) =>
    (...ask: readonly unknown[]): Promise<Reply> => {
      seen.push({ what, ask });
      return Promise.resolve(reply);
    };
  const services: Services = {
    driverName: 'gpfs-clone.csi',
    version: '0.1.0',
    nodeId: 'a1',
    maxVolumesPerNode: 12,
    readiness: () => Promise.resolve('ready'),
    volumes: {
      create: answering('create', volume),
      remove: answering('remove', undefined),
      get: answering('get', volume),
      list: answering('list', { items: [volume], next: 'after-1' }),
      expand: answering('expand', 2n * GiB),
      validate: answering('validate', { confirmed: true }),
      modify: answering('modify', undefined),
    },
    snapshots: {
      create: answering('snapshot', snapshot),
      remove: answering('remove snapshot', undefined),
      get: answering('get snapshot', snapshot),
      list: answering('list snapshots', { items: [snapshot], next: '' }),
    },
    groups: {
      create: answering('group', group),
      remove: answering('remove group', undefined),
      get: answering('get group', group),
    },
    attachments: {
      publish: answering('attach', { generation: '3' }),
      unpublish: answering('detach', undefined),
    },
    capacity: {
      capacity: answering('capacity', { available: 5n * GiB, maximum: 4n * GiB, minimum: MiB }),
    },
    node: {
      stage: answering('stage', undefined),
      unstage: answering('unstage', undefined),
      publish: answering('publish', undefined),
      unpublish: answering('unpublish', undefined),
      stats: notThere,
      expand: notThere,
    },
  };
  return { services, seen };
}

const notThere = (id: string, path: string): Promise<never> =>
  Promise.reject(new DriverError('path-missing', `volume ${id} is not at ${path}`));
