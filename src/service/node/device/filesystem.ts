import { fsTypeOf, fsTypes, type Access, type FsType } from '../../../model/capability.ts';
import { MiB, type Bytes } from '../../../model/bytes.ts';
import { DriverError } from '../../../model/fault.ts';
import { looksBlank, readsAsZeros, type DeviceContent } from '../../../linux/blkid.ts';
import { superblock, type Superblock } from '../../../linux/disk-head.ts';
import { deviceSize } from '../../../linux/sysblock.ts';
import type { NodeHost } from '../host.ts';
import { recordContent, type NodeVolume } from './volume.ts';

const ext4Group = 128n * MiB;
const ext4Tables = 3n * MiB;

/** A volume as a mounted file system. */
export type MountAccess = Extract<Access, { kind: 'mount' }>;

/** Puts a file system on a device that never had one; resolves to the type that is there. Never overwrites. */
export async function ensureFilesystem(
  host: NodeHost,
  volume: NodeVolume,
  access: MountAccess,
  device: string,
): Promise<FsType> {
  const found = await host.blkid.probe(device);
  const { content } = volume.record;
  const wanted = fsTypeOf(access, volume.record.options.fsType);
  if (content.kind === 'formatting') return format(host, volume, wanted, device, true);
  if (found.kind === 'nothing' && content.kind === 'empty' && (await isBlank(host, volume, device)))
    return format(host, volume, wanted, device, false);
  const type = knownType(volume, access, found);
  if (content.kind === 'empty')
    await recordContent(host, volume, { kind: 'filesystem', fsType: type });
  return type;
}

/**
 * A thin image that nobody wrote to has no blocks. Where it has some, all of it is read before it counts as
 * blank: there may be data in it that no signature tells of.
 */
async function isBlank(
  host: NodeHost,
  { path, record }: NodeVolume,
  device: string,
): Promise<boolean> {
  if (!(await looksBlank(device))) return false;
  if (record.options.provisioning === 'thick') return true;
  return (await host.files.held(path)) === 0n || readsAsZeros(device);
}

async function format(
  host: NodeHost,
  volume: NodeVolume,
  fsType: FsType,
  device: string,
  again: boolean,
): Promise<FsType> {
  const { options } = volume.record;
  await recordContent(host, volume, { kind: 'formatting', fsType });
  await host.mkfs(device, fsType, {
    size: await deviceSize(device),
    again,
    label: options.fsLabel,
    // Options of one file system mean something else to another.
    options: options.fsType === fsType ? options.mkfsOptions : undefined,
  });
  await recordContent(host, volume, { kind: 'filesystem', fsType });
  return fsType;
}

function knownType({ id, record }: NodeVolume, access: MountAccess, found: DeviceContent): FsType {
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
  if (access.fsType !== '' && access.fsType !== type)
    throw refuse(`holds ${type}, not ${access.fsType}; ask for fsType ${type}`);
  return type;
}

/** What is mounted where, and how. */
export interface MountAsk {
  readonly device: string;
  readonly path: string;
  readonly fsType: FsType;
  readonly flags: readonly string[];
  readonly readonly: boolean;
  /** Of the class: whether freed blocks go back to GPFS at once (`on`), by and by (`auto`) or never. */
  readonly discard: 'auto' | 'on' | 'off' | undefined;
  /** Growing writes to the device, also for a read-only mount. */
  readonly mayGrow: boolean;
}

/** Mounts a file system; one smaller than its device, as after a restore into a larger volume, is grown first. */
export async function mountFilesystem(host: NodeHost, ask: MountAsk): Promise<void> {
  const { device, path, fsType, readonly } = ask;
  const found = ask.mayGrow ? await superblock(device) : undefined;
  const small = found !== undefined && endsEarly(found, await deviceSize(device));
  const flags = withDiscard(ask);
  if (fsType !== 'ext4') return mountThenGrow(host, { ...ask, flags }, small);
  if (small || found?.wantsCheck) await host.growfs.ext4Offline(device);
  return host.mounter.mount(device, path, 'ext4', optionsOf(flags, readonly));
}

/** The flags of the claim between what is ours and what the class forbids; the kernel takes the last. */
function withDiscard({ fsType, flags, discard }: MountAsk): readonly string[] {
  const ours: Readonly<Record<FsType, readonly string[]>> = {
    ext4: discard === 'on' ? ['discard'] : [],
    // A clone has the UUID of its source; without nouuid XFS refuses to mount both.
    xfs: discard === 'on' ? ['nouuid', 'discard'] : ['nouuid'],
    // Left to itself, btrfs discards all the time.
    btrfs: [discard === 'on' ? 'discard=async' : 'nodiscard'],
  };
  return [...ours[fsType], ...flags, ...(discard === 'off' ? ['nodiscard'] : [])];
}

/** XFS and btrfs grow only while they are mounted writable. */
async function mountThenGrow(host: NodeHost, ask: MountAsk, small: boolean): Promise<void> {
  const { device, path, fsType, flags, readonly } = ask;
  if (!small) return host.mounter.mount(device, path, fsType, optionsOf(flags, readonly));
  const writable = flags.filter((flag) => flag !== 'ro');
  await host.mounter.mount(device, path, fsType, writable);
  await (fsType === 'xfs' ? host.growfs.xfs(path) : host.growfs.btrfs(path));
  if (readonly || flags.includes('ro')) await host.mounter.remountReadonly(path);
}

const optionsOf = (flags: readonly string[], readonly: boolean): readonly string[] =>
  readonly ? [...flags, 'ro'] : flags;

/** Whether the file system on a device ends before the device does, so far that growing it would help. */
export async function isSmall(device: string, size: Bytes): Promise<boolean> {
  const found = await superblock(device);
  return found !== undefined && endsEarly(found, size);
}

function endsEarly(found: Superblock, size: Bytes): boolean {
  if (found.bytes >= size) return false;
  // ext4 leaves out a last group that could hold little more than its own tables.
  const leftOut = found.bytes % ext4Group === 0n && size - found.bytes < ext4Tables;
  return !(found.type === 'ext4' && leftOut);
}
