import { DriverError } from '../../../model/fault.ts';
import { isDeadMark } from '../../../store/nodes.ts';
import type { JournalState } from '../../../store/schema/volume.ts';
import { attach } from './attach.ts';
import { isSmall, type MountAccess } from './filesystem.ts';
import { mountVolume } from './mount.ts';
import type { NodeRecord } from '../state/records.ts';
import type { NodeHost } from '../host.ts';
import { isMountedAt } from './places.ts';
import { updateOurs, type NodeVolume } from './volume.ts';
import { release } from './release.ts';

/** A volume that many nodes are about to read, and what this node has of it. */
export interface Reading {
  readonly source: NodeVolume;
  readonly record: NodeRecord;
  readonly access: MountAccess;
  readonly resumed: boolean;
}

/**
 * Makes sure that the file system can be mounted from a read-only device: the first node to come formats
 * an empty one, replays the journal and grows it to its device, through a writable device that nobody else
 * has beside it; all others wait. Resolves to the record of this node, without a device.
 */
export async function makeClean(host: NodeHost, reading: Reading): Promise<NodeRecord> {
  const { source } = reading;
  const wasClean = journalOf(source)?.state === 'clean';
  if (wasClean && !(await isSmall(source.path, source.record.bytes)))
    return withoutWritable(host, reading.record);
  await claim(host, source);
  if (wasClean && (await isMarkedByOthers(host, source))) {
    // They may have it mounted, and nothing was written since: small is better than changed under them.
    await note(host, source, 'clean');
    return withoutWritable(host, reading.record);
  }
  const emptied = await replay(host, reading);
  await note(host, source, 'clean');
  return emptied;
}

/** What the volume's record says of the journal of its current image. */
const journalOf = ({ key, record: { journal } }: NodeVolume): JournalState | undefined =>
  journal?.image === key ? journal : undefined;

/** A replay that was cut short leaves its device behind. */
const withoutWritable = (host: NodeHost, record: NodeRecord): Promise<NodeRecord> =>
  record.loop && !record.loop.readonly ? release(host, record) : Promise.resolve(record);

/** One node at a time: the one the record names keeps it for as long as its mark says that it may write. */
async function claim(host: NodeHost, source: NodeVolume): Promise<void> {
  const { node } = host.self;
  const holder = holderOf(journalOf(source), node);
  if (holder !== undefined && (await mayStillWrite(source, holder))) throw busy(source, holder);
  await updateOurs(host, source, (record) => {
    const now = holderOf(record.journal, node);
    if (now !== undefined && now !== holder) throw busy(source, now);
    return { ...record, journal: { image: source.key, state: 'replaying', node } };
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

async function isMarkedByOthers(host: NodeHost, { store, key }: NodeVolume): Promise<boolean> {
  return (await store.marks.of(key)).some(({ node }) => node !== host.self.node);
}

async function note(
  host: NodeHost,
  source: NodeVolume,
  state: JournalState['state'],
): Promise<void> {
  const { node } = host.self;
  await updateOurs(host, source, (record) => {
    const now = holderOf(record.journal, node);
    if (now !== undefined) throw busy(source, now);
    return { ...record, journal: { image: source.key, state, node } };
  });
}

async function replay(
  host: NodeHost,
  { source, record, access, resumed }: Reading,
): Promise<NodeRecord> {
  const held = await attach(host, source, record, { readonly: false, resumed });
  const { loop, stagingPath: path } = held;
  if (!(await isMountedAt(host, path, loop))) {
    const flags = access.flags.filter((flag) => flag !== 'ro');
    const how = { loop, path, readonly: false, mayGrow: true };
    await mountVolume(host, source, { ...access, flags }, how);
  }
  return release(host, held);
}
