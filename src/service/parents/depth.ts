import { DriverError } from '../../model/fault.ts';
import type { FileKey } from '../../model/ids.ts';
import type { RootStore } from '../../store/root.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import type { ServiceHost } from '../host.ts';
import { parentRecord } from './record.ts';
import { whyNotCut } from '../../model/abilities.ts';
import { isReaderOnly } from '../../model/capability.ts';

/** A file with its place in the clone forest: `depth` as recorded, an upper bound. */
interface Placed {
  readonly parent: FileKey | null;
  readonly depth?: number | undefined;
}

/** How many clone parents the record of a file says are above it: perhaps more than there are now. */
const recordedDepth = async (store: RootStore, id: string, file: Placed): Promise<number> =>
  file.depth ?? (await exactDepth(store, id, file.parent));

/**
 * How many clone parents are above a file, counted. Throws unreadable-record where one has no record, or where they
 * form a circle.
 */
async function exactDepth(store: RootStore, id: string, parent: FileKey | null): Promise<number> {
  const seen = new Set<FileKey>();
  for (let key = parent; key !== null;) {
    if (seen.has(key)) throw brokenChain(id, `its clone parents go round in a circle at ${key}`);
    seen.add(key);
    const above = await parentRecord(store, key);
    if (!above) throw brokenChain(id, `no record knows its clone parent ${key}`);
    key = above.parent;
  }
  return seen.size;
}

/** The error for records above an object that contradict each other. */
export const brokenChain = (id: string, what: string): DriverError =>
  new DriverError(
    'unreadable-record',
    `the records above ${id} do not fit together: ${what}; gpfs-csi doctor tells more`,
  );

/**
 * The depth of a file under one more clone parent. Throws limit-reached at the hard limit, before anything is done:
 * GPFS itself allows 1,000, and fencing a lost node must stay possible.
 */
export async function deepen(
  host: Pick<ServiceHost, 'compaction' | 'log'>,
  store: RootStore,
  what: Placed & { readonly id: string; readonly help: string },
): Promise<number> {
  const most = host.compaction.maxDepth;
  let depth = (await recordedDepth(store, what.id, what)) + 1;
  if (depth > most / 2) depth = (await exactDepth(store, what.id, what.parent)) + 1;
  if (depth > most)
    throw new DriverError(
      'limit-reached',
      `${what.id} has ${depth - 1} clone parents above it, and ${most} are the most; ${what.help}`,
    );
  if (depth > most / 2)
    host.log.warn({ id: what.id, depth, most }, 'a clone tree is past half of its greatest depth');
  return depth;
}

/** How the owner of a volume can reduce its depth. */
export const helpFor = ({ attachments }: VolumeRecord): string => {
  const [first] = attachments;
  return first
    ? `detach it from node ${first.node} for a while, so that compaction can bring it down`
    : 'compaction brings it down, see gpfs-csi tree; try again later';
};

/** What helps a caller that creates a volume from another volume, or from a snapshot. */
export const helpForClone =
  'use a source that is not as deep: a newer restore, or a volume that compaction has brought down';

/** Whether a volume is deeper than its class allows, so that compaction should check it. */
export const isTooDeep = (depth: number, { options }: Pick<VolumeRecord, 'options'>): boolean => {
  const most = options.maxCloneDepth ?? 0;
  return most > 0 && depth > most;
};

/** Throws wrong-state where this GPFS cannot cut a clone parent from an image in use. */
export async function requireCuttable(store: RootStore, volume: VolumeRecord): Promise<void> {
  const [first] = volume.attachments;
  if (!first) return;
  const writable = volume.attachments.some(
    ({ readonly, capability }) => !readonly && !isReaderOnly(capability.mode),
  );
  const why = whyNotCut(await store.abilities.read(), writable);
  if (why === undefined) return;
  throw new DriverError(
    'wrong-state',
    `volume ${volume.id} is attached to node ${first.node} and cannot be snapshotted or cloned now: ${why}`,
  );
}
