import { planCopy, planEmpty } from '../../model/clone-tree.ts';
import { sharedPlacement, discardNote } from '../../model/class/parameters.ts';
import { DriverError, raced } from '../../model/fault.ts';
import { fileKey, localIdOf, type FileKey, type LocalId } from '../../model/ids.ts';
import { kubernetesNameIn, namedBy } from '../../model/kubernetes.ts';
import { sectorsOf } from '../../model/sectors.ts';
import { ignoring } from '../../store/edges.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { Fill } from '../../store/schema/claim.ts';
import { recordFormat } from '../../store/schema/data.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { newFill } from '../claims/claims.ts';
import { statOf, pathOf } from '../claims/data-files.ts';
import { operate, type VolumeOperation } from '../claims/operate.ts';
import { endClaim } from '../claims/own-claim.ts';
import { perform } from '../claims/steps.ts';
import type { ServiceHost } from '../host.ts';
import { deepen, helpForClone, isTooDeep } from '../parents/depth.ts';
import { reclaim } from '../parents/reclaim.ts';
import type { Parent } from '../parents/record.ts';
import { buildFilled, removeCopyEdge, type FillSource, type NewImage } from './fill.ts';
import { filesystemNote, type FoundFilesystem } from './filesystem.ts';
import { answerWhileFilling } from './fill-wait.ts';
import { askedOf, sizeFor, type VolumeRequest } from './request.ts';
import type { VolumeSource } from './sources.ts';

/** A request for a volume that does not exist yet, with what was looked up for it. */
export interface VolumeOrder extends VolumeRequest {
  /** The root that the volume belongs in. */
  readonly store: RootStore;
  readonly source: VolumeSource | undefined;
  /** The file system that a mounted volume gets from its source. */
  readonly inherited?: FoundFilesystem | undefined;
}

/** Makes a volume that does not exist yet; `from` is the record of a deleted one with the same name. */
export async function makeVolume(
  host: ServiceHost,
  order: VolumeOrder,
  from: Held<VolumeRecord> | undefined,
): Promise<VolumeRecord> {
  const { store } = order;
  const fill = fillFor(order);
  const during = newRecord(host, order, fill);
  const key = fileKey(during.id, (from?.version ?? 0) + 1, host.nonce());
  const operation: VolumeOperation<VolumeRecord> = {
    id: during.id,
    from,
    plan: { op: 'create', image: key, ...(fill ? { fill } : {}) },
    during,
    work: async (claimed) => {
      const made: NewImage = { claimed, image: { data: 'volumes', key } };
      const parent = await order.source?.parent(key);
      try {
        if (fill && parent) refuseLarger(claimed, parent);
        if (fill) return await buildFilled(host, store, made, fillSource(order, parent));
        return await build(host, store, made, parent);
      } catch (error) {
        await dropOrphan(host, order, during.id, { key, parent: parent?.ref.key });
        throw error;
      }
    },
  };
  const wanted = { id: during.id, bytes: during.bytes, had: 0n };
  const work = host.limits.admit(store, wanted, () => operate(host, store, operation));
  return fill ? answerWhileFilling(host, store, during.id, work) : work;
}

/** What must be written into the file before the volume is ready; undefined for a thin volume and for a clone. */
const fillFor = (order: VolumeOrder): Fill | undefined =>
  isFilled(order) ? newFill(isThick(order)) : undefined;

const isThick = ({ parameters }: VolumeOrder): boolean =>
  parameters.options.provisioning === 'thick';

/** Whether a volume gets blocks of its own before it is ready, and not those of a clone. */
export const isFilled = (order: VolumeOrder): boolean =>
  isThick(order) ||
  (order.source !== undefined && order.source.store.id !== order.store.id) ||
  order.source?.isWhole === true;

const fillSource = ({ source }: VolumeOrder, parent: Parent | undefined): FillSource | undefined =>
  source && parent && { store: source.store, parent };

function newRecord(
  { defaults, clock }: Pick<ServiceHost, 'defaults' | 'clock'>,
  order: VolumeOrder,
  fill: Fill | undefined,
): VolumeRecord {
  const { spec, source, parameters } = order;
  const attributes = { ...defaults, ...parameters.attributes };
  const shared = source && !fill ? sharedPlacement(attributes, source.attributes) : {};
  return {
    format: recordFormat,
    id: localIdOf(spec.name),
    name: spec.name,
    state: 'creating',
    bytes: sizeFor(order, source, order.inherited),
    asked: askedOf(spec),
    ...namedBy(kubernetesNameIn(spec.parameters, 'pvc')),
    attributes,
    options: { ...parameters.options },
    context: {
      ...shared,
      ...discardNote(parameters.options, spec.capabilities),
      ...noteOf(order),
    },
    image: null,
    parent: null,
    content: { kind: 'empty' },
    unchanged: true,
    attachments: [],
    createdMs: clock.now(),
    claim: null,
    retype: null,
  };
}

const noteOf = ({ inherited, spec, parameters }: VolumeOrder): Readonly<Record<string, string>> =>
  inherited ? filesystemNote(inherited, spec.capabilities, parameters.options.fsType) : {};

async function build(
  host: ServiceHost,
  store: RootStore,
  { claimed, image }: NewImage,
  parent: Parent | undefined,
): Promise<VolumeRecord> {
  const { attributes, bytes } = claimed.value;
  const from = parent ? await recordParent(host, store, claimed, parent) : claimed;
  const depth = from.value.depth ?? 0;
  const steps = parent
    ? planCopy(parent.ref, image, { parentBytes: parent.bytes, bytes }, attributes)
    : planEmpty(image, bytes, attributes);
  await perform(store, host.commands, steps);
  const made = { key: image.key, inode: await inodeOfMade(store, { claimed, image }) };
  if (isTooDeep(depth, from.value)) await host.backlog.add(store, claimed.id);
  return (await endClaim(store, from, () => ({ state: 'ready', image: made }))).value;
}

async function inodeOfMade(store: RootStore, { claimed, image }: NewImage): Promise<bigint> {
  const { id, bytes } = claimed.value;
  const stat = await statOf(store, pathOf(store, image));
  if (stat?.size === bytes) return stat.inode;
  throw new DriverError(
    'command-failed',
    `the new image of volume ${id} has ${stat?.size ?? 'no'} bytes instead of ${bytes}; try again`,
  );
}

/** Writes the parent into the record before the edge exists: a server that takes over finds which edge to remove. */
async function recordParent(
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
  throw raced(`the source of volume ${id} grew while it was being cloned; try again`);
}

/** The root that the source of a volume lies in. */
const homeOf = ({ store, source }: VolumeOrder): RootStore => source?.store ?? store;

/** A file that was made, and what it was made from, in whichever root that lies. */
interface Orphan {
  readonly key: FileKey;
  readonly parent: FileKey | undefined;
}

/**
 * Where another server took a creation over and undid it, this server may have made the file and its edge after
 * that. What cannot be removed now is an orphan, which blocks nothing.
 */
async function dropOrphan(
  host: ServiceHost,
  order: VolumeOrder,
  id: LocalId,
  { key, parent }: Orphan,
): Promise<void> {
  const { store } = order;
  try {
    const now = await store.volumes.read(id);
    if (!now || [now.value.image?.key, now.value.claim?.image].includes(key)) return;
    await ignoring(store.files.unlink(store.layout.data('volumes', key)), 'ENOENT', 'EISDIR');
    if (parent === undefined) return;
    const home = homeOf(order);
    await removeCopyEdge(home, { parent, to: store.id, child: key });
    await reclaim(host, home, parent);
  } catch (error) {
    host.log.warn(
      { volume: id, key, error },
      'the file of a creation that another server took over may be left',
    );
  }
}
