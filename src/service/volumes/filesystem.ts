import { showBytes, type Bytes } from '../../model/bytes.ts';
import {
  fsTypeOf,
  fsTypes,
  whyUnsupported,
  type Capability,
  type FsType,
} from '../../model/capability.ts';
import { requireFittingFlags, whyUnfit } from '../../model/class/mount-flags.ts';
import { DriverError } from '../../model/fault.ts';
import { superblockBytes, superblockOf, type Superblock } from '../../model/superblock.ts';
import { undefinedWhenMissing } from '../../run/files.ts';
import type { RootStore } from '../../store/root.ts';
import type { Content } from '../../store/schema/data.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { imageOf, pathOf } from '../claims/data-files.ts';

/** A file system that is on a disk already: by its superblock, or by the record where that cannot be read. */
export type FoundFilesystem = Pick<Superblock, 'type' | 'mostBytes'>;

/** The file system in an image or clone parent; undefined where there is none that the driver mounts. */
export async function filesystemIn(
  store: RootStore,
  path: string,
  content: Content,
): Promise<FoundFilesystem | undefined> {
  // What mkfs left of an attempt that was cut short is made again.
  if (content.kind === 'empty' || content.kind === 'formatting') return undefined;
  const recorded = content.kind === 'filesystem' ? content.fsType : undefined;
  const head = await store.files.head(path, superblockBytes).catch(undefinedWhenMissing);
  const found = head && superblockOf(head, recorded);
  const type = fsTypes.find((each) => each === recorded);
  return found ?? (type && { type });
}

/** Throws where a new volume cannot use the file system that it gets from its source. */
export function requireUsableFilesystem(
  { type, mostBytes }: FoundFilesystem,
  capabilities: readonly Capability[],
  bytes: Bytes,
): void {
  if (mostBytes !== undefined && mostBytes < bytes)
    throw new DriverError(
      'size-out-of-range',
      `capacity_range asks for ${showBytes(bytes)}, and the ${type} of the source was made so that it can grow to ${showBytes(mostBytes)} and no further; ask for at most that, or copy its files into a new volume`,
    );
  for (const { access } of capabilities)
    if (access.kind === 'mount') requireFittingFlags(access.flags, type, ofSource);
}

/** Throws where the file system that will be made in a new volume cannot have the mount options of the request. */
export function requireUsableOptions(
  capabilities: readonly Capability[],
  ofClass: FsType | undefined,
): void {
  for (const { access } of capabilities)
    if (access.kind === 'mount')
      requireFittingFlags(access.flags, fsTypeOf(access, ofClass), ofRequest);
}

/** Why a volume cannot be used with these capabilities, for its file system; undefined where it can. */
export function whyUnusable(
  { content, options }: Pick<VolumeRecord, 'content' | 'options'>,
  capabilities: readonly Capability[],
): string | undefined {
  const made = content.kind === 'filesystem' ? content.fsType : undefined;
  const own = fsTypes.find((type) => type === made);
  const why = (capability: Capability): string | undefined => {
    const { access } = capability;
    const unsupported = whyUnsupported(capability);
    if (unsupported !== undefined || access.kind === 'block') return unsupported;
    const type = own ?? fsTypeOf(access, options.fsType);
    return access.flags.map((flag) => whyUnfit(flag, type)).find((each) => each !== undefined);
  };
  return capabilities.map(why).find((each) => each !== undefined);
}

const field = 'volume_capabilities';
const ofSource = { field, of: 'the source' };
const ofRequest = { field, of: 'the class' };

/** What the context of a volume says where its source has another file system than was asked for. */
export function filesystemNote(
  { type }: FoundFilesystem,
  capabilities: readonly Capability[],
  ofClass: FsType | undefined,
): Readonly<Record<string, string>> {
  const asked = capabilities.flatMap(({ access }) =>
    access.kind === 'mount' ? [fsTypeOf(access, ofClass)] : [],
  );
  const other = asked.find((each) => each !== type);
  if (other === undefined) return {};
  return { fileSystem: `is ${type}, as in the source; fsType ${other} is for empty volumes` };
}

/** Throws where the file system of a volume cannot grow to this size. A raw block volume is its user's. */
export async function requireGrowable(
  store: RootStore,
  record: VolumeRecord,
  bytes: Bytes,
  capability: Capability | undefined,
): Promise<void> {
  const isMount = capability
    ? capability.access.kind === 'mount'
    : record.asked.capabilities.some((each) => each.startsWith('mount '));
  if (!isMount) return;
  const found = await filesystemIn(store, pathOf(store, imageOf(record)), record.content);
  if (found?.mostBytes === undefined || found.mostBytes >= bytes) return;
  throw new DriverError(
    'size-out-of-range',
    `volume ${record.id} cannot have ${showBytes(bytes)}: its ${found.type} was made so that it can grow to ${showBytes(found.mostBytes)} and no further; ask for at most that, or copy its files into a new volume`,
  );
}
