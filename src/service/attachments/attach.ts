import { counted } from '../../model/bytes.ts';
import { isMultiNode, isReaderOnly, sameCapability } from '../../model/capability.ts';
import { DriverError } from '../../model/fault.ts';
import { localIdOf } from '../../model/ids.ts';
import { noteUnreadable } from '../../store/json.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { NodeFile } from '../../store/schema/root.ts';
import type { Attachment, VolumeRecord } from '../../store/schema/volume.ts';
import type { ServiceHost } from '../host.ts';
import { beginOnlyIfAwaited } from '../claims/patience.ts';
import { fence, type WantedAttachment } from './fence.ts';
import { nodesToFence } from './users.ts';

/**
 * Attaches a volume to a node, and first cuts off other nodes that may still write to it. Throws node-missing,
 * in-use, used-differently or limit-reached.
 */
export async function attach(
  host: ServiceHost,
  store: RootStore,
  held: Held<VolumeRecord>,
  wanted: WantedAttachment,
): Promise<void> {
  const { value } = held;
  const node = await requireNode(store, wanted.node);
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
  beginOnlyIfAwaited();
  if (lost.length > 0) return fence(host, store, held, { attachment: added, nodes: lost });
  const attachments = [...value.attachments, added];
  const journal = writes(wanted) ? undefined : value.journal;
  await store.volumes.swap(
    held.id,
    held,
    { ...value, attachments, unchanged: false, journal },
    'name',
  );
}

async function requireNode(store: RootStore, name: string): Promise<NodeFile> {
  const node = await store.nodes.read(name);
  if (node) return node;
  throw new DriverError(
    'node-missing',
    `node ${name} has never run this driver with root ${store.layout.root}; is the driver's pod running there, and file system ${store.facts.fileSystem} mounted?`,
  );
}

/**
 * Whether the volume is attached to this node as wanted. Throws used-differently where it is attached in another
 * way.
 */
function isAttached({ id, attachments }: VolumeRecord, wanted: WantedAttachment): boolean {
  const here = attachments.find(({ node }) => node === wanted.node);
  if (!here) return false;
  if (here.readonly === wanted.readonly && sameCapability(here.capability, wanted.capability))
    return true;
  throw new DriverError(
    'used-differently',
    `volume ${id} is attached to node ${wanted.node} already, with another capability or readonly flag; detach it first`,
  );
}

function refuseBeside({ id }: VolumeRecord, other: Attachment, wanted: WantedAttachment): void {
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

/**
 * A file system that many nodes read must not change: no node writes to it, and no raw device shows its journal
 * being replayed.
 */
function refuseMixed(id: string, other: Attachment, wanted: WantedAttachment): void {
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

const writes = ({
  capability,
  readonly,
}: Pick<WantedAttachment, 'capability' | 'readonly'>): boolean =>
  !readonly && !isReaderOnly(capability.mode);

/** A crash may leave volumes in the index that are not attached, so at the limit each record is read. */
async function refuseOverLimit(
  store: RootStore,
  value: VolumeRecord,
  { node, maxVolumes }: NodeFile,
): Promise<void> {
  const listed = (await store.attached.of(localIdOf(node))).filter((id) => id !== value.id);
  if (listed.length < maxVolumes) return;
  let attached = 0;
  for (const id of listed) {
    // One that cannot be read counts: the index says that it is attached.
    const other = await store.volumes.read(id).catch(noteUnreadable(store.bad));
    if (other === 'unreadable' || other?.value.attachments.some((each) => each.node === node))
      attached++;
  }
  if (attached < maxVolumes) return;
  throw new DriverError(
    'limit-reached',
    `node ${node} has ${counted(attached, 'volume')} attached, its limit; detach one or raise max-volumes-per-node`,
  );
}
