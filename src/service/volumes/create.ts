import { canonicalCapability, requireFsType, requireSupported } from '../../model/capability.ts';
import { planCopy, planEmpty, type DataRef } from '../../model/clone-tree.ts';
import type { Bytes } from '../../model/bytes.ts';
import { DriverError, invalid } from '../../model/fault.ts';
import { fileKey, localIdOf, type FileKey, type LocalId } from '../../model/ids.ts';
import {
  classParameters,
  ownParameters,
  sharedPlacement,
  undiscarded,
  type ClassParameters,
} from '../../model/class/parameters.ts';
import { volumeChange } from '../../model/class/mutable.ts';
import { minimumBytes, sizeOfNew } from '../../model/sizing.ts';
import type { VolumeSpec } from '../../model/volume.ts';
import { ignoring } from '../../store/edges.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import { recordFormat } from '../../store/schema/data.ts';
import type { Fill } from '../../store/schema/claim.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { deepen, helpForClone, isTooDeep } from '../parents/depth.ts';
import { newFill } from '../claims/claims.ts';
import { buildFilled, untie, type FillSource } from './fill.ts';
import { requireOwnHandle } from '../roots/handles.ts';
import type { ServiceHost } from '../host.ts';
import { operate, type VolumeOperation } from '../claims/operate.ts';
import { endClaim } from '../claims/own-claim.ts';
import { statOf, pathOf } from '../claims/data-files.ts';
import type { Parent } from '../parents/record.ts';
import { reclaim } from '../parents/reclaim.ts';
import { patiently, resumeFilling } from './fill-resume.ts';
import { requireSame } from './same-request.ts';
import { sectorsOf } from '../../model/sectors.ts';
import { settleVolume } from '../claims/settle.ts';
import { imageSource, findSource, type VolumeSource } from './sources.ts';
import { perform } from '../claims/steps.ts';
import { requireWithinReach } from '../roots/topology.ts';

/** A volume and the root it lives in. */
export interface Found {
  readonly store: RootStore;
  readonly record: VolumeRecord;
}

/** Creates a volume, empty or as a clone; the same request again finds what the first one made. */
export async function createVolume(host: ServiceHost, spec: VolumeSpec): Promise<Found> {
  requireSupported(spec.capabilities, 'volume_capabilities');
  // Only for what it refuses: a value that may be changed later reads as any other.
  volumeChange(spec.mutable);
  const parameters = classParameters(spec.parameters);
  const { fsType } = parameters.options;
  requireFsType(spec.capabilities, fsType);
  // Refused before anything is looked up: a size that fits nowhere is wrong for every volume.
  if (!spec.source) sizeOfNew(spec.range, minimumBytes(spec.capabilities, fsType), undefined);
  const source = await sourceOf(host, spec, parameters);
  const store = await rootFor(host, parameters, source);
  requireWithinReach(host, store, spec.name, spec.requirement);
  await requireOwnHandle(host, store, localIdOf(spec.name));
  const going = await resumeFilling(host, store, spec);
  if (going) return { store, record: going };
  const held = await settleVolume(host, store, localIdOf(spec.name));
  if (held && held.value.state !== 'deleted') {
    requireSame(held.value, spec);
    return { store, record: held.value };
  }
  await source?.requireThere();
  await host.placement.require(store, parameters.attributes);
  if (parameters.encrypted) await host.placement.requireEncryption(store);
  const order = { spec, source, parameters };
  return { store, record: await createNew(host, store, order, held) };
}

/** A request for a volume that does not exist yet, with what was looked up for it. */
interface Order {
  readonly spec: VolumeSpec;
  readonly source: VolumeSource | undefined;
  readonly parameters: ClassParameters;
}

async function createNew(
  host: ServiceHost,
  store: RootStore,
  order: Order,
  from: Held<VolumeRecord> | undefined,
): Promise<VolumeRecord> {
  const fill = fillFor(store, order);
  const during = newRecord(host, order, fill !== undefined);
  const key = fileKey(during.id, (from?.version ?? 0) + 1, host.nonce());
  const operation: VolumeOperation<VolumeRecord> = {
    id: during.id,
    from,
    plan: { op: 'create', image: key, ...(fill ? { fill } : {}) },
    during,
    work: async (claimed) => {
      const image: DataRef = { data: 'volumes', key };
      const parent = await order.source?.parent(key);
      try {
        if (fill && parent) refuseLarger(claimed, parent);
        if (fill) return await buildFilled(host, store, claimed, image, filled(order, parent));
        return await build(host, store, claimed, image, parent);
      } catch (error) {
        await dropOrphan(host, store, during.id, { key, order, parent: parent?.ref.key });
        throw error;
      }
    },
  };
  const wanted = { id: during.id, bytes: during.bytes, had: 0n };
  const work = host.limits.admit(store, wanted, () => operate(host, store, operation));
  return fill ? patiently(host, store, during.id, work) : work;
}

/** The content source of the request, else the golden image of its class. */
async function sourceOf(
  host: ServiceHost,
  spec: VolumeSpec,
  { image, root }: ClassParameters,
): Promise<VolumeSource | undefined> {
  if (spec.source) return findSource(host, spec.source);
  if (!image) return undefined;
  return imageSource(host, await host.roots.byPath(root), image);
}

/** What has to be done to the file besides making it; undefined for a thin volume of its own or a clone. */
function fillFor(store: RootStore, { source, parameters }: Order): Fill | undefined {
  const thick = parameters.options.provisioning === 'thick';
  const elsewhere = source !== undefined && source.store.id !== store.id;
  return thick || elsewhere || source?.whole === true ? newFill(thick) : undefined;
}

const filled = ({ source }: Order, parent: Parent | undefined): FillSource | undefined =>
  source && parent && { store: source.store, parent };

async function rootFor(
  host: ServiceHost,
  parameters: ClassParameters,
  source: VolumeSource | undefined,
): Promise<RootStore> {
  if (!source) return host.roots.byPath(parameters.root);
  if (parameters.root === undefined || parameters.root === source.store.layout.root)
    return source.store;
  if (parameters.crossRootCopy) return host.roots.byPath(parameters.root);
  throw invalid(
    'volume_content_source',
    `lies in root ${source.store.layout.root}, but the class says ${parameters.root}; clones stay inside a root, and a class with crossRootCopy true copies instead`,
  );
}

const sizeFor = ({ spec, source, parameters }: Order): Bytes =>
  sizeOfNew(spec.range, minimumBytes(spec.capabilities, parameters.options.fsType), source?.bytes);

function newRecord(
  host: ServiceHost,
  { spec, source, parameters }: Order,
  isWhole: boolean,
): VolumeRecord {
  const attributes = { ...host.defaults, ...parameters.attributes };
  const shared = source && !isWhole ? sharedPlacement(attributes, source.attributes) : {};
  return {
    format: recordFormat,
    id: localIdOf(spec.name),
    name: spec.name,
    state: 'creating',
    bytes: sizeFor({ spec, source, parameters }),
    asked: {
      requiredBytes: spec.range?.requiredBytes ?? 0n,
      limitBytes: spec.range?.limitBytes ?? 0n,
      capabilities: spec.capabilities.map(canonicalCapability).sort(),
      parameters: Object.fromEntries(ownParameters(spec.parameters)),
      source: spec.source ? { ...spec.source } : null,
    },
    attributes,
    options: { ...parameters.options },
    context: { ...shared, ...undiscarded(parameters.options, spec.capabilities) },
    image: null,
    parent: null,
    content: { kind: 'empty' },
    unchanged: true,
    attachments: [],
    createdMs: host.clock.now(),
    claim: null,
    retype: null,
  };
}

async function build(
  host: ServiceHost,
  store: RootStore,
  claimed: Held<VolumeRecord>,
  image: DataRef,
  parent: Parent | undefined,
): Promise<VolumeRecord> {
  const { attributes, bytes } = claimed.value;
  const from = parent ? await hang(host, store, claimed, parent) : claimed;
  const depth = from.value.depth ?? 0;
  const steps = parent
    ? planCopy(parent.ref, image, { parentBytes: parent.bytes, bytes }, attributes)
    : planEmpty(image, bytes, attributes);
  await perform(store, host.commands, steps);
  const made = { key: image.key, inode: await inodeOfMade(store, claimed.value, image) };
  if (isTooDeep(depth, from.value)) await host.backlog.add(store, claimed.id);
  return (await endClaim(store, from, () => ({ state: 'ready', image: made }))).value;
}

async function inodeOfMade(
  store: RootStore,
  { id, bytes }: VolumeRecord,
  image: DataRef,
): Promise<bigint> {
  const stat = await statOf(store, pathOf(store, image));
  if (stat?.size === bytes) return stat.inode;
  throw new DriverError(
    'command-failed',
    `the new image of volume ${id} has ${stat?.size ?? 'no'} bytes instead of ${bytes}; try again`,
  );
}

/** Keeps the parent in the record before the edge is made, so that whoever takes over knows which edge to remove. */
async function hang(
  host: ServiceHost,
  store: RootStore,
  claimed: Held<VolumeRecord>,
  parent: Parent,
): Promise<Held<VolumeRecord>> {
  refuseLarger(claimed, parent);
  const depth = await deepen(host, store, { ...parent, id: claimed.id, help: helpForClone });
  const { content } = parent;
  const inherited = { content, ...sectorsOf(parent) };
  const record = { ...claimed.value, parent: parent.ref.key, depth, ...inherited };
  return store.volumes.swap(claimed.id, claimed, record);
}

function refuseLarger({ id, value }: Held<VolumeRecord>, { bytes }: Parent): void {
  if (bytes <= value.bytes) return;
  throw new DriverError(
    'busy',
    `the source of volume ${id} grew while it was being cloned; try again`,
  );
}

const homeOf = ({ source }: Order, store: RootStore): RootStore => source?.store ?? store;

/** A file that was made, and what it was made from, in whichever root that lies. */
interface Orphan {
  readonly key: FileKey;
  readonly order: Order;
  readonly parent: FileKey | undefined;
}

/**
 * The file of a creation that another server took over and took back may have come to be after that, and its
 * edge too. What cannot be removed now is an orphan that keeps nobody from anything.
 */
async function dropOrphan(
  host: ServiceHost,
  store: RootStore,
  id: LocalId,
  { key, order, parent }: Orphan,
): Promise<void> {
  try {
    const now = await store.volumes.read(id);
    if (!now || [now.value.image?.key, now.value.claim?.image].includes(key)) return;
    await ignoring(store.files.unlink(store.layout.data('volumes', key)), 'ENOENT');
    if (parent === undefined) return;
    const home = homeOf(order, store);
    await untie(home, { parent, to: store.id, child: key });
    await reclaim(host, home, parent);
  } catch (error) {
    host.log.warn({ volume: id, key, error }, 'the file of a creation that was lost may be left');
  }
}
