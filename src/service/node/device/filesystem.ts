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

/** Formats a device that never had a file system; resolves to the type that is there. Overwrites no data. */
export async function ensureFilesystem(
  host: Pick<NodeHost, 'blkid' | 'mkfs' | 'files' | 'self'>,
  volume: NodeVolume,
  access: MountAccess,
  device: string,
): Promise<FsType> {
  const found = await host.blkid.probe(device);
  const { content } = volume.record;
  const wanted = fsTypeOf(access, volume.record.options.fsType);
  // An earlier attempt was cut short; what is on the device is what mkfs left.
  if (content.kind === 'formatting')
    return format(host, volume, device, { fsType: wanted, again: true });
  if (found.kind === 'nothing' && content.kind === 'empty' && (await isBlank(host, volume, device)))
    return format(host, volume, device, { fsType: wanted, again: false });
  const type = knownType(volume, access, found);
  if (content.kind === 'empty')
    await recordContent(host, volume, { kind: 'filesystem', fsType: type });
  return type;
}

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

/** What mounting and growing a file system needs. */
type GrowingHost = Pick<NodeHost, 'growfs' | 'mounter'>;

/** What is mounted where, and how. */
export interface MountAsk {
  readonly device: string;
  readonly path: string;
  readonly fsType: FsType;
  readonly flags: readonly string[];
  readonly readonly: boolean;
  /** Of the class: whether freed blocks return to GPFS at once (`on`), with the next trim (`auto`) or never. */
  readonly discard: 'auto' | 'on' | 'off' | undefined;
  /** Whether the device may be written to, so that the file system can grow; a read-only mount may grow too. */
  readonly mayGrow: boolean;
}

/** Mounts a file system. One smaller than its device, as after a restore into a larger volume, is grown first. */
export async function mountFilesystem(host: GrowingHost, ask: MountAsk): Promise<void> {
  const { device, path, fsType, readonly } = ask;
  const found = ask.mayGrow ? await superblock(device) : undefined;
  const small = found !== undefined && endsEarly(found, await deviceSize(device));
  const flags = withDiscard(ask);
  if (small && fsType !== 'ext4') return mountThenGrow(host, { ...ask, flags });
  if (small || found?.wantsCheck) await host.growfs.ext4Offline(device);
  return host.mounter.mount(device, path, fsType, optionsOf({ flags, readonly }));
}

/** The driver's flags, then those of the claim, then what the class forbids: the kernel takes the last one. */
function withDiscard({ fsType, flags, discard }: MountAsk): readonly string[] {
  const ours: Readonly<Record<FsType, readonly string[]>> = {
    ext4: discard === 'on' ? ['discard'] : [],
    // A clone has the UUID of its source; without nouuid XFS refuses to mount both.
    xfs: discard === 'on' ? ['nouuid', 'discard'] : ['nouuid'],
    // Without a flag, btrfs discards all the time.
    btrfs: [discard === 'on' ? 'discard=async' : 'nodiscard'],
  };
  return [...ours[fsType], ...flags, ...(discard === 'off' ? ['nodiscard'] : [])];
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
  if (found.bytes >= size) return false;
  // ext4 does not use a last group that could hold little more than its own tables.
  const leftOut = found.bytes % ext4Group === 0n && size - found.bytes < ext4Tables;
  return !(found.type === 'ext4' && leftOut);
}
