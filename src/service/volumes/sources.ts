import { listImages } from '../images/images.ts';
import type { DataRef } from '../../model/clone-tree.ts';
import { invalid, raced } from '../../model/fault.ts';
import { fileKey, imageId, numberOfKey, type FileKey, type LocalId } from '../../model/ids.ts';
import type { FileAttributes } from '../../model/class/parameters.ts';
import type { ContentSource } from '../../model/volume.ts';
import { persist } from '../claims/patience.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { SnapshotRecord } from '../../store/schema/parents.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { requireCuttable, deepen, helpFor } from '../parents/depth.ts';
import type { ServiceHost } from '../host.ts';
import { imageOf, pathOf, statOf } from '../claims/data-files.ts';
import { operate } from '../claims/operate.ts';
import { filesystemIn, type FoundFilesystem } from './filesystem.ts';
import { cutParent } from '../parents/cut.ts';
import type { SourceSize } from './request.ts';
import { asCut, parentRecord, type Parent } from '../parents/record.ts';
import {
  readySnapshot,
  readyVolume,
  snapshotMissing,
  volumeMissing,
  settleSnapshot,
} from '../claims/settle.ts';

/** What a new volume is made from. */
export interface VolumeSource extends SourceSize {
  readonly store: RootStore;
  /** The record of a golden image. */
  readonly golden?: SnapshotRecord | undefined;
  /** The class wants a copy, although a clone would do. */
  readonly isWhole?: boolean;
  /** Placement of the blocks that a clone shares. */
  readonly attributes: FileAttributes;
  /** The file system on it; called only for a volume that does not exist yet. */
  filesystem(): Promise<FoundFilesystem | undefined>;
  /** Throws when the source is not there; called only for a volume that does not exist yet. */
  requireThere(): Promise<void>;
  /** The clone parent for the image with this key; makes one where there is none yet. */
  parent(image: FileKey): Promise<Parent>;
}

/** Looks a source up. A missing one throws only when it is needed: the volume may be made already. */
export async function findSource(host: ServiceHost, source: ContentSource): Promise<VolumeSource> {
  const place = await host.roots.byId(source.id);
  if (!place)
    throw source.kind === 'snapshot' ? snapshotMissing(source.id) : volumeMissing(source.id);
  const { store, local } = place;
  return source.kind === 'snapshot'
    ? snapshotSource(host, store, local)
    : volumeSource(host, store, local);
}

/** A snapshot of this root as a source. */
async function snapshotSource(
  host: ServiceHost,
  store: RootStore,
  id: LocalId,
): Promise<VolumeSource> {
  const record = (await store.snapshots.read(id))?.value;
  const needed = async () => (await readySnapshot(host, store, id)).value;
  return {
    store,
    golden: record?.golden && record,
    ...(await sizesOf(store, 'snapshots', record, record?.file)),
    attributes: record?.attributes ?? {},
    filesystem: async () => {
      const { file, content } = await needed();
      return file
        ? filesystemIn(store, store.layout.data('snapshots', file.key), content)
        : undefined;
    },
    requireThere: async () => {
      await needed();
    },
    parent: async () => parentOfSnapshot(store, await needed()),
  };
}

function parentOfSnapshot(store: RootStore, record: SnapshotRecord): Promise<Parent> {
  if (!record.file) throw snapshotMissing(record.id);
  return asCut(store, { ...record, ref: { data: 'snapshots', key: record.file.key } });
}

/** The sizes of an object and of its file; 0 for what is not there. */
async function sizesOf(
  store: RootStore,
  data: DataRef['data'],
  record: Pick<SourceSize, 'bytes'> | undefined,
  file: Pick<DataRef, 'key'> | null | undefined,
): Promise<SourceSize> {
  const stat = file ? await statOf(store, pathOf(store, { data, key: file.key })) : undefined;
  return { bytes: record?.bytes ?? 0n, fileBytes: stat?.size ?? 0n };
}

async function volumeSource(
  host: ServiceHost,
  store: RootStore,
  id: LocalId,
): Promise<VolumeSource> {
  const found = await store.volumes.read(id);
  const record = found?.value;
  // A request that lost a race against another server begins again: the present parent may serve it by then.
  const parent = () => persist(() => parentOfVolume(host, store, id, found?.version ?? 0));
  return {
    store,
    ...(await sizesOf(store, 'volumes', record, record?.image)),
    attributes: record?.attributes ?? {},
    filesystem: async () => {
      const { value } = await readyVolume(host, store, id);
      return filesystemIn(store, pathOf(store, imageOf(value)), value.content);
    },
    requireThere: async () => {
      await readyVolume(host, store, id);
    },
    parent: async () => asCut(store, await host.inLine(`${store.id}.${id}`, parent)),
  };
}

/**
 * A clone parent that holds what the volume held at some moment of this request. One that is there serves again
 * where possible: no command, and the volume gets no deeper. `seen`: the version of the record when the request came.
 */
async function parentOfVolume(
  host: ServiceHost,
  store: RootStore,
  id: LocalId,
  seen: number,
): Promise<Parent> {
  const held = await readyVolume(host, store, id);
  const shared = isShareable(held.value, seen) ? held.value.parent : null;
  const known = shared === null ? undefined : await parentRecord(store, shared);
  return known ?? cutFor(host, store, held);
}

/**
 * Whether the present parent serves this request: no node could have written since it was cut, or it was cut after
 * the request came. The version that announced the cut says so, on every server, without a clock.
 */
const isShareable = ({ unchanged, parent, lastCut }: VolumeRecord, seen: number): boolean =>
  unchanged || (parent !== null && parent === lastCut && numberOfKey(parent) > seen);

async function cutFor(
  host: ServiceHost,
  store: RootStore,
  held: Held<VolumeRecord>,
): Promise<Parent> {
  await requireCuttable(store, held.value);
  const depth = await deepen(host, store, { ...held.value, help: helpFor(held.value) });
  const key = fileKey(held.value.id, held.version + 1, host.nonce());
  await operate(host, store, {
    id: held.id,
    from: held,
    plan: { op: 'clone', parent: key },
    during: { ...held.value, depth: depth - 1 },
    durability: 'name',
    work: (claimed) => cutParent(host, store, claimed),
  });
  const made = await parentRecord(store, key);
  if (made) return made;
  throw raced(`the clone parent of volume ${held.id} was reclaimed; try again`);
}

/** The image that a class names, as the source of a volume. */
export async function imageSource(
  host: ServiceHost,
  store: RootStore,
  { name, isWhole }: { readonly name: string; readonly isWhole: boolean },
): Promise<VolumeSource> {
  const id = imageId(name);
  const source = await snapshotSource(host, store, id);
  return {
    ...source,
    isWhole,
    requireThere: async () => {
      const record = (await settleSnapshot(host, store, id))?.value;
      if (record?.state === 'ready' && record.golden) return;
      throw invalid('parameters', `key "image" names ${await missing(store, name)}`);
    },
  };
}

async function missing(store: RootStore, name: string): Promise<string> {
  const names = (await listImages(store)).map(({ golden }) => golden?.name ?? '');
  const there =
    names.length === 0 ? 'there are none' : `there are ${names.slice(0, 20).join(', ')}`;
  return `${JSON.stringify(name)}, which is no image of root ${store.layout.root}; ${there}`;
}
