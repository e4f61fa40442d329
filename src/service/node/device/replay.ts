import { DriverError } from '../../../model/fault.ts';
import { isDeadMark } from '../../../store/marks.ts';
import type { JournalState } from '../../../store/schema/volume.ts';
import { attach } from './attach.ts';
import { isSmall, type MountAccess } from './filesystem.ts';
import { mountVolume } from './mount.ts';
import type { NodeRecord } from '../state/records.ts';
import type { NodeHost } from '../host.ts';
import { isMountedAt } from './places.ts';
import { updateOurs, type NodeVolume } from './volume.ts';
import { release } from './release.ts';

/** A volume that many nodes are about to read, and the record that this node has of it. */
export interface Reading {
  readonly volume: NodeVolume;
  readonly record: NodeRecord;
  readonly access: MountAccess;
  readonly resumed: boolean;
}

/**
 * Makes sure that the file system can be mounted from a read-only device. The first node formats an empty
 * volume, replays the journal and grows the file system to its device, through the only writable device there
 * is; the other nodes wait. Resolves to the record of this node, without a device.
 */
export async function makeClean(host: NodeHost, reading: Reading): Promise<NodeRecord> {
  const { volume } = reading;
  const wasClean = journalOf(volume)?.state === 'clean';
  if (wasClean && !(await isSmall(volume.path, volume.record.bytes)))
    return withoutWritable(host, reading.record);
  await claim(host, volume);
  if (wasClean && (await isMarkedByOthers(host, volume))) {
    // Other nodes may have it mounted. A file system that stays too small is better than one that changes under them.
    await note(host, volume, 'clean');
    return withoutWritable(host, reading.record);
  }
  const emptied = await replay(host, reading);
  await note(host, volume, 'clean');
  return emptied;
}

/** What the volume's record says of the journal of its current image. */
const journalOf = ({ key, record: { journal } }: NodeVolume): JournalState | undefined =>
  journal?.image === key ? journal : undefined;

/** Releases the writable device that an interrupted replay left. */
const withoutWritable = (host: NodeHost, record: NodeRecord): Promise<NodeRecord> =>
  record.loop && !record.loop.readonly ? release(host, record) : Promise.resolve(record);

/** One node replays at a time: the node in the record, for as long as its mark says that it may write. */
async function claim(host: Pick<NodeHost, 'self'>, volume: NodeVolume): Promise<void> {
  const { node } = host.self;
  const holder = holderOf(journalOf(volume), node);
  if (holder !== undefined && (await mayStillWrite(volume, holder))) throw busy(volume, holder);
  await updateOurs(host, volume, (record) => {
    const now = holderOf(record.journal, node);
    if (now !== undefined && now !== holder) throw busy(volume, now);
    return { ...record, journal: { image: volume.key, state: 'replaying', node } };
  });
}

const holderOf = (journal: JournalState | undefined, self: string): string | undefined =>
  journal?.state === 'replaying' && journal.node !== self ? journal.node : undefined;

async function mayStillWrite({ store, key }: NodeVolume, holder: string): Promise<boolean> {
  const mark = (await store.marks.of(key)).find(({ node }) => node === holder);
  return mark !== undefined && !isDeadMark(mark, await store.nodes.read(holder));
}

const busy = ({ id }: NodeVolume, node: string): DriverError =>
  new DriverError(
    'busy',
    `node ${node} is replaying the journal of volume ${id}, so that several nodes can read it; try again`,
  );

async function isMarkedByOthers(
  { self }: Pick<NodeHost, 'self'>,
  { store, key }: NodeVolume,
): Promise<boolean> {
  return (await store.marks.of(key)).some(({ node }) => node !== self.node);
}

async function note(
  host: Pick<NodeHost, 'self'>,
  volume: NodeVolume,
  state: JournalState['state'],
): Promise<void> {
  const { node } = host.self;
  await updateOurs(host, volume, (record) => {
    const now = holderOf(record.journal, node);
    if (now !== undefined) throw busy(volume, now);
    return { ...record, journal: { image: volume.key, state, node } };
  });
}

async function replay(
  host: NodeHost,
  { volume, record, access, resumed }: Reading,
): Promise<NodeRecord> {
  const held = await attach(host, volume, record, { readonly: false, resumed });
  const { loop, stagingPath: path } = held;
  if (!(await isMountedAt(host, path, loop))) {
    const flags = access.flags.filter((flag) => flag !== 'ro');
    const how = { loop, path, readonly: false, mayGrow: true };
    await mountVolume(host, volume, { ...access, flags }, how);
  }
  return release(host, held);
}
