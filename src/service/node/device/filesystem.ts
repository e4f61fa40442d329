import { fsTypeOf, fsTypes, type Access, type FsType } from '../../../model/capability.ts';
import { MiB, type Bytes } from '../../../model/bytes.ts';
import { requireFittingFlags } from '../../../model/class/mount-flags.ts';
import { DriverError } from '../../../model/fault.ts';
import type { Superblock } from '../../../model/superblock.ts';
import { looksBlank, readsAsZeros, type DeviceContent } from '../../../linux/blkid.ts';
import { superblock } from '../../../linux/disk-head.ts';
import { journalFrom } from '../../../linux/growfs.ts';
import { deviceSize } from '../../../linux/sysblock.ts';
import type { VolumeRecord } from '../../../store/schema/volume.ts';
import type { NodeHost } from '../host.ts';
import { recordContent, type NodeVolume } from './volume.ts';

const ext4Group = 128n * MiB;
const ext4Tables = 3n * MiB;

/** A volume as a mounted file system. */
export type MountAccess = Extract<Access, { kind: 'mount' }>;

/** Formats a device that never had a file system; resolves to the type that is there. Overwrites no data. */
export async function ensureFilesystem(
  host: Pick<NodeHost, 'blkid' | 'mkfs' | 'files' | 'self'>,
  volume: NodeVolume,
  access: MountAccess,
  device: string,
): Promise<FsType> {
  const { content } = volume.record;
  const wanted = fsTypeOf(access, volume.record.options.fsType);
  const known = knownFilesystem(volume.record);
  const own = known === undefined ? undefined : await superblock(device, known);
  // In its free space lies what its users wrote there before: blkid may take that for the signature of something else.
  if (own) return own.type;
  const found = await host.blkid.probe(device);
  // An earlier attempt was cut short; what is on the device is what mkfs left.
  const again = content.kind === 'formatting';
  const isNew = found.kind === 'nothing' && content.kind === 'empty';
  if (again || (isNew && (await isBlank(host, volume, device)))) {
    requireFittingFlags(access.flags, wanted, ofVolume);
    return format(host, volume, device, { fsType: wanted, again });
  }
  const type = knownType(volume, found);
  if (content.kind === 'empty')
    await recordContent(host, volume, { kind: 'filesystem', fsType: type });
  return type;
}

// The flags of a node's own record, and of a PersistentVolume of before, pass here too.
const ofVolume = { field: 'volume_capability', of: 'the volume' };

/**
 * The file system that the record says is on the image. No record knows it where a pod may have written to the device
 * itself: a version before 0.2 left the record as it was then.
 */
export const knownFilesystem = ({
  content,
  asked,
}: Pick<VolumeRecord, 'content' | 'asked'>): string | undefined =>
  content.kind === 'filesystem' && !asked.capabilities.some((each) => each.startsWith('block '))
    ? content.fsType
    : undefined;

/**
 * A thin image has no blocks before the first write. Where it has some, all of it is read before it counts as
 * blank: it may hold data without a signature that blkid knows.
 */
async function isBlank(
  { files }: Pick<NodeHost, 'files'>,
  { path, record }: NodeVolume,
  device: string,
): Promise<boolean> {
  if (!(await looksBlank(device))) return false;
  if (record.options.provisioning === 'thick') return true;
  return (await files.held(path)) === 0n || readsAsZeros(device);
}

async function format(
  host: Pick<NodeHost, 'mkfs' | 'self'>,
  volume: NodeVolume,
  device: string,
  { fsType, again }: { readonly fsType: FsType; readonly again: boolean },
): Promise<FsType> {
  const { options } = volume.record;
  await recordContent(host, volume, { kind: 'formatting', fsType });
  await host.mkfs(device, fsType, {
    size: await deviceSize(device),
    again,
    label: options.fsLabel,
    // Options of one file system have another meaning for the next.
    options: options.fsType === fsType ? options.mkfsOptions : undefined,
  });
  await recordContent(host, volume, { kind: 'filesystem', fsType });
  return fsType;
}

function knownType({ id, record }: NodeVolume, found: DeviceContent): FsType {
  const refuse = (why: string) => new DriverError('wrong-state', `volume ${id} ${why}`);
  if (found.kind === 'nothing' && record.content.kind === 'filesystem')
    throw refuse(
      `had ${record.content.fsType} on it and shows no file system now; it is not formatted again, restore a snapshot`,
    );
  if (found.kind === 'nothing')
    throw refuse(
      'holds data that is no known file system; it is not formatted, use it as a block volume',
    );
  if (found.kind === 'other')
    throw refuse(`holds ${found.what} and no file system; use it as a block volume`);
  const type = fsTypes.find((each) => each === found.type);
  if (type === undefined) throw refuse(`holds ${found.type}, which this driver does not mount`);
  return type;
}

/** What mounting and growing a file system needs. */
type GrowingHost = Pick<NodeHost, 'growfs' | 'mounter' | 'log'>;

/** What is mounted where, and how. */
export interface MountAsk {
  readonly device: string;
  readonly path: string;
  readonly fsType: FsType;
  readonly flags: readonly string[];
  readonly readonly: boolean;
  /** Of the class: whether freed blocks return to GPFS at once (`on`), with the next trim (`auto`) or never. */
  readonly discard: 'auto' | 'on' | 'off' | undefined;
  /** Of the class: whether setuid programs and device nodes in the volume have effect; absent: no. */
  readonly privilegedFiles: 'ignored' | 'allowed' | undefined;
  /** Whether the device may be written to, so that the file system can grow; a read-only mount may grow too. */
  readonly mayGrow: boolean;
  /** This driver made the file system, and no pod had its device. */
  readonly isOurs: boolean;
}

/** Mounts a file system. One smaller than its device, as after a restore into a larger volume, is grown first. */
export async function mountFilesystem(host: GrowingHost, ask: MountAsk): Promise<void> {
  const { device, path, fsType, readonly } = ask;
  requireFittingFlags(ask.flags, fsType, ofVolume);
  const found = ask.mayGrow ? await superblock(device, fsType) : undefined;
  const size = await deviceSize(device);
  const flags = allFlags(ask);
  if (found?.type === 'ext4') await prepareExt4(host, ask, found, size);
  else if (found && endsEarly(found, size)) return mountThenGrow(host, { ...ask, flags });
  return host.mounter.mount(device, path, fsType, optionsOf({ flags, readonly }));
}

/** Checks an ext4 that needs it, grows it as far as it can, and gives it a journal where it was made without one. */
async function prepareExt4(
  { growfs, log }: Pick<NodeHost, 'growfs' | 'log'>,
  { device, isOurs }: MountAsk,
  found: Superblock,
  size: Bytes,
): Promise<void> {
  const journal =
    isOurs && found.lacksJournal && size >= journalFrom ? ('missing' as const) : undefined;
  if (!endsEarly(found, size) && !found.wantsCheck && journal === undefined) return;
  const mostBytes = reachOf(found, size);
  if (mostBytes !== undefined)
    log.warn(
      { device, size, mostBytes },
      'an ext4 stays smaller than its volume: it was made with a layout that ends there; copy its files into a new volume',
    );
  await growfs.ext4Offline(device, { mostBytes, journal });
}

/** How far a file system can grow on a device; undefined: to its end. */
export function reachOf({ bytes, mostBytes }: Superblock, size: Bytes): Bytes | undefined {
  if (mostBytes === undefined || mostBytes >= size) return undefined;
  // Never less than it has: resize2fs would shrink it.
  return mostBytes > bytes ? mostBytes : bytes;
}

/** The driver's flags, then those of the claim, then what the class forbids: the kernel takes the last one. */
function allFlags({ fsType, flags, discard, privilegedFiles }: MountAsk): readonly string[] {
  const ours: Readonly<Record<FsType, readonly string[]>> = {
    ext4: discard === 'on' ? ['discard'] : [],
    // A clone has the UUID of its source; without nouuid XFS refuses to mount both.
    xfs: discard === 'on' ? ['nouuid', 'discard'] : ['nouuid'],
    // Without a flag, btrfs discards all the time.
    btrfs: [discard === 'on' ? 'discard=async' : 'nodiscard'],
  };
  return [
    ...ours[fsType],
    ...flags,
    ...(discard === 'off' ? ['nodiscard'] : []),
    ...(privilegedFiles === 'allowed' ? [] : ['nosuid', 'nodev']),
  ];
}

/** XFS and btrfs grow only while they are mounted writable. */
async function mountThenGrow(host: GrowingHost, ask: MountAsk): Promise<void> {
  const { device, path, fsType, flags, readonly } = ask;
  const writable = flags.filter((flag) => flag !== 'ro');
  await host.mounter.mount(device, path, fsType, writable);
  await (fsType === 'xfs' ? host.growfs.xfs(path) : host.growfs.btrfs(path));
  if (readonly || flags.includes('ro')) await host.mounter.remountReadonly(path);
}

const optionsOf = ({ flags, readonly }: Pick<MountAsk, 'flags' | 'readonly'>): readonly string[] =>
  readonly ? [...flags, 'ro'] : flags;

/** True when the file system on a device is so much smaller than the device that growing it would help. */
export async function isSmall(device: string, size: Bytes): Promise<boolean> {
  const found = await superblock(device);
  return found !== undefined && endsEarly(found, size);
}

function endsEarly(found: Superblock, size: Bytes): boolean {
  const reach = reachOf(found, size) ?? size;
  if (found.bytes >= reach) return false;
  // ext4 does not use a last group that could hold little more than its own tables.
  const leftOut = found.bytes % ext4Group === 0n && reach - found.bytes < ext4Tables;
  return !(found.type === 'ext4' && leftOut);
}
