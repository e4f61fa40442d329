import { isDevice, unknownDevice } from './cluster.ts';
import type { Ground, SimulatedPool } from '../core/ground.ts';
import type { SimulatedRelease } from '../core/personality.ts';
import {
  ctime,
  encode,
  printed,
  refused,
  parseArguments,
  table,
  type CommandOutcome,
} from './text.ts';

const formats: Readonly<Record<SimulatedRelease, string>> = {
  '4.1': '14.03 (4.1.0.4)',
  '5.0': '22.00 (5.0.4.0)',
  '5.2': '35.00 (5.2.1.0)',
  '6.0': '38.00 (6.0.0.0)',
};

interface Field {
  readonly flag: string;
  readonly name: string;
  readonly value: string;
  readonly description: string;
}

function fields(ground: Ground): readonly Field[] {
  const { personality } = ground;
  const format = formats[personality.release];
  const enforced = personality.filesetQuotaKiB > 0 ? 'user;group;fileset' : 'none';
  const encryption = personality.encryption ? 'Yes' : 'No';
  const rows: readonly (readonly [string, string, string, string])[] = [
    ['-f', 'minFragmentSize', '8192', 'Minimum fragment (subblock) size in bytes'],
    ['-i', 'inodeSize', '4096', 'Inode size in bytes'],
    ['-I', 'indirectBlockSize', '32768', 'Indirect block size in bytes'],
    ['-m', 'defaultMetadataReplicas', '1', 'Default number of metadata replicas'],
    ['-M', 'maxMetadataReplicas', '2', 'Maximum number of metadata replicas'],
    ['-r', 'defaultDataReplicas', '1', 'Default number of data replicas'],
    ['-R', 'maxDataReplicas', '2', 'Maximum number of data replicas'],
    ['-B', 'blockSize', '4194304', 'Block size'],
    ['-Q', 'quotasEnforced', enforced, 'Quotas enforced'],
    ['-Q', 'perfilesetQuotas', 'No', 'Per-fileset quota enforcement'],
    ['--filesetdf', 'filesetdfEnabled', 'No', 'Fileset df enabled?'],
    ['-V', 'filesystemVersion', format, 'Current file system version'],
    ['-V', 'filesystemVersionLocal', format, 'Highest supported by this node'],
    ['-V', 'filesystemVersionManager', format, 'Highest supported by the manager'],
    ['-V', 'filesystemVersionOriginal', format, 'Original file system version'],
    ['-V', 'filesystemHighestSupported', format, 'Highest supported file system version'],
    ['-c', 'create-time', ctime(ground.createdMs), 'File system creation time'],
    ['--encryption', 'encryption', encryption, 'Encryption enabled?'],
    ['-F', 'maxNumberOfInodes', '513024', 'Maximum number of inodes'],
    ['-P', 'storagePools', ground.pools.map(({ name }) => name).join(';'), 'Disk storage pools'],
    ['-A', 'automaticMountOption', 'yes', 'Automatic mount option'],
    ['-T', 'defaultMountPoint', ground.mountPoint, 'Default mount point'],
  ];
  return rows.map(([flag, name, value, description]) => ({ flag, name, value, description }));
}

/** `mmlsfs`: all fields, or those whose flags are given. */
export function mmlsfs(ground: Ground, args: readonly string[]): CommandOutcome {
  const { flags, rest } = parseArguments(args, new Set());
  if (!isDevice(ground, rest[0])) return unknownDevice('mmlsfs', rest[0]);
  const asked = [...flags.keys()].filter((flag) => flag !== '-Y');
  const all = fields(ground);
  const shown = asked.length === 0 ? all : all.filter(({ flag }) => asked.includes(flag));
  if (flags.has('-Y')) {
    const columns = ['deviceName', 'fieldName', 'data', 'remarks'];
    const rows = shown.map(({ name, value }) => [ground.device, name, encode(value), '']);
    return printed(table('mmlsfs', '', columns, rows));
  }
  return printed([
    'flag                value                    description',
    `${'-'.repeat(19)} ${'-'.repeat(24)} ${'-'.repeat(35)}`,
    ...shown.map(
      ({ flag, value, description }) => ` ${flag.padEnd(18)} ${value.padEnd(24)} ${description}`,
    ),
  ]);
}

const poolHeading =
  'Name                    Id   BlkSize Data Meta ' +
  'Total Data in (KB)   Free Data in (KB)   Total Meta in (KB)    Free Meta in (KB)';

/** `mmlspool`: has no `-Y` in any release. */
export function mmlspool(ground: Ground, args: readonly string[]): CommandOutcome {
  const { rest } = parseArguments(args, new Set());
  const [device, wanted = 'all'] = rest;
  if (!isDevice(ground, device)) return unknownDevice('mmlspool', device);
  const names = wanted.split(',');
  const missing = names.find(
    (name) => name !== 'all' && !ground.pools.some((pool) => pool.name === name),
  );
  if (missing !== undefined) {
    return refused('mmlspool', 1, `mmlspool: Pool ${missing} was not found.`);
  }
  const shown = ground.pools.filter(({ name }) => names.includes('all') || names.includes(name));
  const title = `Storage pools in file system at '${ground.mountPoint}':`;
  if (ground.personality.release === '4.1') {
    return printed([title, 'Name            Id   ', ...shown.map(bareRow)]);
  }
  return printed([title, poolHeading, ...shown.map((pool) => poolRow(pool, ground))]);
}

const bareRow = ({ name, id }: SimulatedPool): string => `${name.padEnd(15)} ${id}`;

function poolRow(pool: SimulatedPool, { personality }: Ground): string {
  const free = personality.full ? 0n : pool.freeKiB;
  const data = amounts(pool.totalKiB, free);
  const metadata = pool.metadata ? amounts(pool.totalKiB, free) : amounts(0n, 0n);
  const [name, id] = [pool.name.padEnd(20), String(pool.id).padStart(6)];
  return `${name}${id}      4 MB  yes  ${pool.metadata ? 'yes' : ' no'}${data}${metadata}`;
}

function amounts(total: bigint, free: bigint): string {
  const percent = total === 0n ? 0n : (free * 100n) / total;
  return `${String(total).padStart(15)}${String(free).padStart(15)} (${String(percent).padStart(3)}%)`;
}
