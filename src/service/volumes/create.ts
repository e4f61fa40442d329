import { invalid } from '../../model/fault.ts';
import { localIdOf } from '../../model/ids.ts';
import type { ClassParameters } from '../../model/class/parameters.ts';
import type { VolumeSpec } from '../../model/volume.ts';
import type { RootStore } from '../../store/root.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { settleVolume } from '../claims/settle.ts';
import type { ServiceHost } from '../host.ts';
import { requireOwnHandle } from '../roots/handles.ts';
import { requireWithinReach } from '../roots/topology.ts';
import { requireUsable } from '../images/usable.ts';
import {
  filesystemNote,
  requireUsableFilesystem,
  requireUsableOptions,
  type FoundFilesystem,
} from './filesystem.ts';
import { isFilled, makeVolume, type VolumeOrder } from './make.ts';
import { decodeRequest, requireSame, sizeFor, type VolumeRequest } from './request.ts';
import { findSource, imageSource, type VolumeSource } from './sources.ts';

/** A volume, and the root that it lies in. */
export interface PlacedVolume {
  readonly store: RootStore;
  readonly record: VolumeRecord;
}

/** Creates a volume, empty or as a clone; the same request again finds the volume that the first one made. */
export async function createVolume(host: ServiceHost, spec: VolumeSpec): Promise<PlacedVolume> {
  const request = decodeRequest(spec);
  const order = { ...request, ...(await findSourceAndRoot(host, request)) };
  return { store: order.store, record: await findOrMake(host, order) };
}

/** The source of the volume, and the root that it belongs in, which must be one that its caller may use. */
async function findSourceAndRoot(
  host: ServiceHost,
  { spec, parameters }: VolumeRequest,
): Promise<Pick<VolumeOrder, 'source' | 'store'>> {
  const source = await sourceOf(host, spec, parameters);
  const store = await rootFor(host, parameters, source);
  requireWithinReach(host, store, spec.name, spec.requirement);
  await requireOwnHandle(host, store, localIdOf(spec.name));
  return { source, store };
}

/** The volume that an earlier request made, or a new one. */
async function findOrMake(host: ServiceHost, order: VolumeOrder): Promise<VolumeRecord> {
  const { spec, parameters, source, store } = order;
  const held = await settleVolume(host, store, localIdOf(spec.name));
  if (held && held.value.state !== 'deleted') {
    requireSame(held.value, spec);
    return held.value;
  }
  if (source) await requireSource(host, order, source);
  const inherited = await inheritedBy(host, order);
  await host.placement.require(store, parameters.attributes);
  if (parameters.creation.encryptionAtRest === 'required')
    await host.placement.requireEncryption(store);
  return makeVolume(host, { ...order, inherited }, held);
}

/** The file system that the volume gets from its source. Throws where it cannot be used as the request asks. */
async function inheritedBy(
  { log }: Pick<ServiceHost, 'log'>,
  order: VolumeOrder,
): Promise<FoundFilesystem | undefined> {
  const { spec, parameters, source } = order;
  const isMounted = spec.capabilities.some(({ access }) => access.kind === 'mount');
  const inherited = isMounted ? await source?.filesystem() : undefined;
  if (!inherited) {
    requireUsableOptions(spec.capabilities, parameters.options.fsType);
    return undefined;
  }
  requireUsableFilesystem(inherited, spec.capabilities, sizeFor(order, source, inherited));
  const note = filesystemNote(inherited, spec.capabilities, parameters.options.fsType);
  if (Object.keys(note).length > 0)
    log.info(
      { volume: spec.name, ...note },
      'a volume gets another file system from its source than its class asks for, and is mounted as that',
    );
  return inherited;
}

/** Throws where the source is not there, or is an image whose volumes no node could stage. */
async function requireSource(
  { allowBuffered }: Pick<ServiceHost, 'allowBuffered'>,
  order: VolumeOrder,
  source: VolumeSource,
): Promise<void> {
  await source.requireThere();
  const use = { spec: order.spec, isCopy: isFilled(order), allowBuffered };
  await requireUsable(source.store, source.golden, use);
}

/** The content source of the request, else the golden image of its class. */
async function sourceOf(
  host: ServiceHost,
  spec: VolumeSpec,
  { creation }: ClassParameters,
): Promise<VolumeSource | undefined> {
  if (spec.source) return findSource(host, spec.source);
  const { image, imageShareMode, root } = creation;
  if (image === undefined) return undefined;
  const wanted = { name: image, isWhole: imageShareMode === 'copy' };
  return imageSource(host, await host.roots.byPath(root), wanted);
}

async function rootFor(
  { roots }: Pick<ServiceHost, 'roots'>,
  { creation: { root, crossRootCopy } }: ClassParameters,
  source: VolumeSource | undefined,
): Promise<RootStore> {
  if (!source) return roots.byPath(root);
  if (root === undefined || root === source.store.layout.root) return source.store;
  if (crossRootCopy === true) return roots.byPath(root);
  throw invalid(
    'volume_content_source',
    `lies in root ${source.store.layout.root}, but the class says ${root}; clones stay inside a root, and a class with crossRootCopy true copies instead`,
  );
}
