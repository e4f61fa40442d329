import {
  isMultiNode,
  isReaderOnly,
  requireSupported,
  sameCapability,
} from '../../model/capability.ts';
import { DriverError } from '../../model/fault.ts';
import { localIdOf } from '../../model/ids.ts';
import { isDeadMark } from '../../store/nodes.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { NodeFile } from '../../store/schema/root.ts';
import type { Attachment, VolumeRecord } from '../../store/schema/volume.ts';
import type { Attachments } from '../api.ts';
import type { ServiceHost } from '../host.ts';
import { fence, nodesToFence, resumeFence, type Fencer } from './fence.ts';
import { isFencing } from '../claims/own-claim.ts';
import { readyVolume, settleVolume, volumeMissing } from '../claims/settle.ts';

/** Which node may use a volume: written in the volume's record, so that never two write one file system. */
export function attachmentsOf(host: ServiceHost): Attachments {
  return {
    publish: async (ask) => {
      requireSupported([ask.capability], 'volume_capability');
      const place = await host.roots.byId(ask.id);
      if (!place) throw volumeMissing(ask.id);
      const { store, local } = place;
      const found = await store.volumes.read(local);
      if (found && (await resumeFence(host, store, found, ask))) return {};
      const free = found?.value.state === 'ready' && !found.value.claim;
      const held = free ? found : await readyVolume(host, store, local);
      await attach(host, store, held, ask, await requireNode(store, ask.node));
      return {};
    },
    unpublish: async (id, node) => {
      const place = await host.roots.byId(id);
      const held = place && (await place.store.volumes.read(place.local));
      if (!place || !held || held.value.state === 'deleted') return;
      await detach(host, place.store, held, node);
    },
  };
}

async function requireNode(store: RootStore, name: string): Promise<NodeFile> {
  const node = await store.nodes.read(name);
  if (node) return node;
  throw new DriverError(
    'node-missing',
    `node ${name} has never run this driver with root ${store.layout.root}; is the driver's pod running there, and file system ${store.facts.fileSystem} mounted?`,
  );
}

async function attach(
  host: ServiceHost,
  store: RootStore,
  held: Held<VolumeRecord>,
  wanted: Fencer,
  node: NodeFile,
): Promise<void> {
  const { value } = held;
  if (isAttached(value, wanted)) return;
  for (const other of value.attachments) refuseBeside(value, other, wanted);
  const lost = await nodesToFence(store, value, wanted.capability, node);
  await refuseOverLimit(store, value, node);
  await store.attached.add(localIdOf(node.node), value.id);
  const { access, mode } = wanted.capability;
  const added: Attachment = {
    node: wanted.node,
    readonly: wanted.readonly,
    capability: {
      mode,
      access: access.kind === 'block' ? access : { ...access, flags: [...access.flags] },
    },
    sinceMs: host.clock.now(),
  };
  if (lost.length > 0) return fence(host, store, held, added, lost);
  const attachments = [...value.attachments, added];
  const journal = writes(wanted) ? undefined : value.journal;
  await store.volumes.swap(
    held.id,
    held,
    { ...value, attachments, unchanged: false, journal },
    'name',
  );
}

/** Attached to this node as wanted. Throws used-differently when it is, but otherwise. */
function isAttached({ id, attachments }: VolumeRecord, wanted: Fencer): boolean {
  const here = attachments.find(({ node }) => node === wanted.node);
  if (!here) return false;
  if (here.readonly === wanted.readonly && sameCapability(here.capability, wanted.capability))
    return true;
  throw new DriverError(
    'used-differently',
    `volume ${id} is attached to node ${wanted.node} already, with another capability or readonly flag; detach it first`,
  );
}

function refuseBeside({ id }: VolumeRecord, other: Attachment, wanted: Fencer): void {
  const shareable = isMultiNode(other.capability.mode) && isMultiNode(wanted.capability.mode);
  refuseMixed(id, other, wanted);
  const oneWriter =
    ![other, wanted].some(({ capability }) => capability.mode === 'MULTI_NODE_SINGLE_WRITER') ||
    !writes(other) ||
    !writes(wanted);
  if (shareable && oneWriter) return;
  throw new DriverError(
    'in-use',
    `volume ${id} is attached to node ${other.node}, and mode ${wanted.capability.mode} allows no second one; detach it there first`,
  );
}

/** A file system that many nodes read stands still: no writer beside it, and no device that shows its replay. */
function refuseMixed(id: string, other: Attachment, wanted: Fencer): void {
  if (![other, wanted].some(({ capability }) => capability.mode === 'MULTI_NODE_READER_ONLY'))
    return;
  const sameAccess = other.capability.access.kind === wanted.capability.access.kind;
  if (sameAccess && !writes(other) && !writes(wanted)) return;
  const use = writes(other) ? 'for writing' : `as ${other.capability.access.kind}, read-only`;
  throw new DriverError(
    'in-use',
    `volume ${id} is attached to node ${other.node} ${use}, and cannot be ${writes(wanted) ? 'written' : 'read by many'} beside that; detach it there first`,
  );
}

const writes = ({ capability, readonly }: Pick<Fencer, 'capability' | 'readonly'>): boolean =>
  !readonly && !isReaderOnly(capability.mode);

/** The index may name volumes that a crash left in it, so at the limit each is looked at. */
async function refuseOverLimit(
  store: RootStore,
  value: VolumeRecord,
  { node, maxVolumes }: NodeFile,
): Promise<void> {
  const listed = (await store.attached.of(localIdOf(node))).filter((id) => id !== value.id);
  if (listed.length < maxVolumes) return;
  let attached = 0;
  for (const id of listed) {
    const other = (await store.volumes.read(id))?.value;
    if (other?.attachments.some((each) => each.node === node)) attached++;
  }
  if (attached < maxVolumes) return;
  throw new DriverError(
    'limit-reached',
    `node ${node} has ${attached} volumes attached, its limit; detach one or raise max-volumes-per-node`,
  );
}

async function detach(
  host: ServiceHost,
  store: RootStore,
  found: Held<VolumeRecord>,
  node: string,
): Promise<void> {
  const isGoing = (each: Attachment) => node === '' || each.node === node;
  const { value, id } = await withoutFence(host, store, found, isGoing);
  const going = value.attachments.filter(isGoing);
  if (going.length > 0)
    await store.volumes.update(id, (now) => withoutAttachments(now, isGoing), 'name');
  for (const each of going) await store.attached.remove(localIdOf(each.node), id);
  // What could not be compacted while it was in use can be now. Also when there is nothing to detach: this may be
  // the repetition of a call that failed after its effect.
  if (value.parent !== null) await host.backlog.add(store, id);
}

/** What becomes of the attachments of a fence is known only once that has ended. */
async function withoutFence(
  host: ServiceHost,
  store: RootStore,
  held: Held<VolumeRecord>,
  isGoing: (each: Attachment) => boolean,
): Promise<Held<VolumeRecord>> {
  const { claim, attachments } = held.value;
  if (claim?.op !== 'fence' || !attachments.some(isGoing)) return held;
  return (await settleVolume(host, store, held.value.id)) ?? held;
}

function withoutAttachments(
  now: VolumeRecord,
  isGoing: (each: Attachment) => boolean,
): VolumeRecord {
  if (now.attachments.some((each) => isGoing(each) && isFencing(each)))
    throw new DriverError(
      'busy',
      `volume ${now.id} is being attached, while other nodes are cut off from it; try again`,
    );
  return { ...now, attachments: now.attachments.filter((each) => !isGoing(each)) };
}

/** Nodes that use a volume's image, or may: attached, or with a mark of a machine that has not booted since. */
export async function usersOf(
  store: RootStore,
  { attachments, image }: VolumeRecord,
): Promise<readonly string[]> {
  const marks = image ? await store.marks.of(image.key) : [];
  const alive = await Promise.all(
    marks.map(async (mark) =>
      isDeadMark(mark, await store.nodes.read(mark.node)) ? [] : [mark.node],
    ),
  );
  return [...attachments.map(({ node }) => node), ...alive.flat()];
}
