import type { BigIntStats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { roundUp, type Bytes } from '../../model/bytes.ts';
import { errnoError, errnoOf } from '../../run/files.ts';
import { hostRun } from '../../run/host-run.ts';
import { CommandFailed } from '../../run/run.ts';
import { birthOf } from './state/file-tracker.ts';
import type { SimulatorLayout } from './state/layout.ts';
import { stateFiles, type StateFile } from './state/state-files.ts';

/** A run of blocks of a file, in units of 512 bytes: its place in the file and its place on the disk. */
interface Extent {
  readonly first: bigint;
  readonly last: bigint;
  readonly at: bigint;
  /** Space that is reserved but not written: it reads as zeros. */
  readonly unwritten: boolean;
}

// xfs_io prints one line for each extent, and a fragmented image has many.
const run = hostRun({ mmDirectory: '/nonexistent', maxOutput: 64 * 1024 * 1024 });
const attempts = 5;

/**
 * The bytes that GPFS would count for a file, in blocks of 4 KiB. XFS counts a shared block for every file that
 * shares it, where GPFS counts it for the parent only. So a clone holds the blocks whose place on the disk differs
 * from that in its parent, and any other file holds all its blocks.
 */
export function heldOn(layout: SimulatorLayout): (path: string) => Promise<Bytes> {
  const states = stateFiles(layout);
  const parentOf = (stat: BigIntStats): string | undefined => {
    const inode = String(stat.ino);
    const state: StateFile | undefined = stat.isFile() ? states.read(inode) : undefined;
    const parent = state?.birth === birthOf(stat) ? state.record.parent : undefined;
    // The link for this child is a name of the parent, and no program moves it.
    return parent === undefined ? undefined : states.linkOf(parent, inode);
  };
  return async (path) => {
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const stat = await lstat(path, { bigint: true });
      if (!stat.isFile() || stat.blocks === 0n) return 0n;
      const parent = parentOf(stat);
      const found = await extentsOf(parent === undefined ? [path] : [path, parent]);
      if (found) return ownBytes(found, stat.size);
    }
    // Each time, the file was removed or got another parent meanwhile.
    throw errnoError('EIO', 'fiemap', path);
  };
}

/** The extents of each file, or undefined when one of the files no longer exists. */
async function extentsOf(
  paths: readonly string[],
): Promise<readonly (readonly Extent[])[] | undefined> {
  try {
    const found = parseFiemap(await run(['xfs_io', '-r', '-c', 'fiemap -v', ...paths], 'read'));
    return found.length === paths.length ? found : undefined;
  } catch (error) {
    if (error instanceof CommandFailed && errnoOf(error.cause) !== 'ENOENT') return undefined;
    throw error;
  }
}

/** Reads the output of `xfs_io -c fiemap` for several files: a name and a colon, then one line for each extent. */
function parseFiemap(output: string): readonly (readonly Extent[])[] {
  const files: Extent[][] = [];
  for (const line of output.split('\n').filter(Boolean))
    if (/^\/.*:$/.test(line)) files.push([]);
    else if (!line.startsWith(' EXT:')) files.at(-1)?.push(...extentIn(line));
  return files;
}

const row = /^ *\d+: \[(\d+)\.\.(\d+)\]: +(?:hole|(\d+)\.\.\d+) +\d+(?: +0x([0-9a-f]+))?$/;
const unwrittenFlag = 0x800;

function extentIn(line: string): readonly Extent[] {
  const [matched, first = '', last = '', at, flags = '0'] = row.exec(line) ?? [];
  if (matched === undefined) throw new Error(`fiemap printed ${JSON.stringify(line)}`);
  if (at === undefined) return [];
  const unwritten = (parseInt(flags, 16) & unwrittenFlag) !== 0;
  return [{ first: BigInt(first), last: BigInt(last), at: BigInt(at), unwritten }];
}

const unit = 512n;
const blockOfXfs = 4096n;

/**
 * Bytes of a file whose place on the disk differs from that in its parent. Space reserved behind its end does not
 * count. Nor does unwritten space of a clone: at a snap, XFS leaves it with the file; GPFS moves it to the parent.
 */
function ownBytes([child = [], parent]: readonly (readonly Extent[])[], size: Bytes): Bytes {
  const end = roundUp(size, blockOfXfs) / unit - 1n;
  const above = parent ?? [];
  let own = 0n;
  let from = 0;
  const counts = ({ first, unwritten }: Extent) => first <= end && !(parent && unwritten);
  for (const extent of child.filter(counts)) {
    const mine = { ...extent, last: min(extent.last, end) };
    own += mine.last - mine.first + 1n;
    // Both lists are sorted: an extent that ends before this one also ends before the next one.
    from = firstFrom(above, from, mine.first);
    for (const other of overlapping(above, from, mine.last))
      if (other.at - other.first === mine.at - mine.first)
        own -= min(mine.last, other.last) - max(mine.first, other.first) + 1n;
  }
  return own * unit;
}

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);

/** The index, at or after `from`, of the first extent that does not end before this place. */
function firstFrom(extents: readonly Extent[], from: number, place: bigint): number {
  let at = from;
  while ((extents[at]?.last ?? place) < place) at += 1;
  return at;
}

function* overlapping(extents: readonly Extent[], from: number, last: bigint): Generator<Extent> {
  for (let n = from; n < extents.length; n++) {
    const extent = extents[n];
    if (!extent || extent.first > last) return;
    yield extent;
  }
}
