import {
  isMultiNode,
  isReaderOnly,
  requireSupported,
  sameCapability,
} from '../model/capability.ts';
import type { Capability } from '../model/capability.ts';
import { DriverError } from '../model/fault.ts';
import { localIdOf } from '../model/ids.ts';
import type { Held } from '../store/records.ts';
import { isDeadMark } from '../store/nodes.ts';
import type { RootStore } from '../store/root.ts';
import type { Attachment, NodeFile, VolumeRecord } from '../store/schema.ts';
import type { Attachments } from './api.ts';
import type { ServiceHost } from './host.ts';
import { imageOf } from './parents.ts';
import { readyVolume, volumeMissing } from './settle.ts';

/** Which node may use a volume: written in the volume's record, so that never two write one file system. */
export function attachmentsOf(host: ServiceHost): Attachments {
  return {
    publish: async (ask) => {
      requireSupported([ask.capability], 'volume_capability');
      const place = await host.roots.byId(ask.id);
      if (!place) throw volumeMissing(ask.id);
      const held = await readyVolume(host, place.store, place.local);
      const node = await requireNode(place.store, ask.node);
      await attach(host, place.store, held, { ...ask, limit: node.maxVolumes });
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

interface Wanted {
  readonly node: string;
  readonly capability: Capability;
  readonly readonly: boolean;
  /** How many volumes the node takes. */
  readonly limit: number;
}

async function requireNode(store: RootStore, name: string): Promise<NodeFile> {
  const node = await store.nodes.read(name);
  if (node) return node;
  throw new DriverError(
    'node-missing',
    `node ${name} has never run this driver on this root; is the driver's pod running there?`,
  );
}

async function attach(
  host: ServiceHost,
  store: RootStore,
  held: Held<VolumeRecord>,
  wanted: Wanted,
): Promise<void> {
  const { value } = held;
  if (isAttached(value, wanted)) return;
  for (const other of value.attachments) refuseBeside(value, other, wanted);
  await refuseMarked(store, value, wanted);
  await refuseOverLimit(store, value, wanted);
  const node = localIdOf(wanted.node);
  await store.attached.add(node, value.id);
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
  const attachments = [...value.attachments, added];
  await store.volumes.swap(held.id, held, { ...value, attachments, unchanged: false }, 'name');
}

/** Attached to this node as wanted. Throws used-differently when it is, but otherwise. */
function isAttached({ id, attachments }: VolumeRecord, wanted: Wanted): boolean {
  const here = attachments.find(({ node }) => node === wanted.node);
  if (!here) return false;
  if (here.readonly === wanted.readonly && sameCapability(here.capability, wanted.capability))
    return true;
  throw new DriverError(
    'used-differently',
    `volume ${id} is attached to node ${wanted.node} already, with another capability or readonly flag; detach it first`,
  );
}

function refuseBeside({ id }: VolumeRecord, other: Attachment, wanted: Wanted): void {
  const shareable = isMultiNode(other.capability.mode) && isMultiNode(wanted.capability.mode);
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

const writes = ({ capability, readonly }: Pick<Wanted, 'capability' | 'readonly'>): boolean =>
  !readonly && !isReaderOnly(capability.mode);

/** A node that never said it let go of the image may still write to it, whatever Kubernetes believes. */
async function refuseMarked(store: RootStore, value: VolumeRecord, wanted: Wanted): Promise<void> {
  if (isMultiNode(wanted.capability.mode)) return;
  for (const mark of await store.marks.of(imageOf(value).key)) {
    if (mark.node === wanted.node) continue;
    if (isDeadMark(mark, await store.nodes.read(mark.node))) continue;
    throw new DriverError(
      'in-use',
      `volume ${value.id} may still be open on node ${mark.node}, which has not unstaged it; bring that node back or restart it`,
    );
  }
}

/** The index may name volumes that a crash left in it, so at the limit each is looked at. */
async function refuseOverLimit(
  store: RootStore,
  value: VolumeRecord,
  wanted: Wanted,
): Promise<void> {
  const node = localIdOf(wanted.node);
  const listed = (await store.attached.of(node)).filter((id) => id !== value.id);
  if (listed.length < wanted.limit) return;
  let attached = 0;
  for (const id of listed) {
    const other = (await store.volumes.read(id))?.value;
    if (other?.attachments.some((each) => each.node === wanted.node)) attached++;
  }
  if (attached < wanted.limit) return;
  throw new DriverError(
    'limit-reached',
    `node ${wanted.node} has ${attached} volumes attached, its limit; detach one or raise max-volumes-per-node`,
  );
}

async function detach(
  host: ServiceHost,
  store: RootStore,
  held: Held<VolumeRecord>,
  node: string,
): Promise<void> {
  const going = held.value.attachments.filter((each) => node === '' || each.node === node);
  if (going.length > 0)
    await store.volumes.update(
      held.id,
      (now) => ({
        ...now,
        attachments: now.attachments.filter((each) => node !== '' && each.node !== node),
      }),
      'name',
    );
  for (const each of going) await store.attached.remove(localIdOf(each.node), held.id);
  // What could not be compacted while it was in use can be now. Also when there is nothing to detach: this may be
  // the repetition of a call that failed after its effect.
  if (held.value.parent !== null) await host.backlog.add(store, held.id);
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
