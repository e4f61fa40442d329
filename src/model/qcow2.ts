import { showBytes, type Bytes } from './bytes.ts';
import { maximumBytes } from './sizing.ts';

/** How much of a file `readQcow2` reads. */
export const qcow2HeaderBytes = 104;

const magic = 0x514649fb;
const mostSnapshots = 16;
const externalData = 4n;
/** Dirty, corrupt, external data, compression type, extended L2 entries: what qemu-img knows of. */
const knownFeatures = 0x1fn;
/** Clusters of 512 bytes to 2 MiB. */
const clusterBits = { least: 9, most: 21 };
/** What qemu-img accepts at most: 32 MiB of first-level entries, 8 MiB of refcount table. */
const mostTable = { entries: (32 * 1024 * 1024) / 8, refcountBytes: 8 * 1024 * 1024 };

/** The size of the disk in a qcow2 image, or why such an image is not taken in. */
export type Qcow2 = { readonly bytes: Bytes } | { readonly problem: string };

/**
 * Reads the header before any program does: an image may name other files of the host (backing
 * file, data file), or be built to use up time and memory (snapshots, huge sizes).
 */
export function readQcow2(header: Uint8Array): Qcow2 {
  if (header.length < qcow2HeaderBytes) return { problem: 'is too short for a qcow2 image' };
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  if (view.getUint32(0) !== magic) return { problem: 'is no qcow2 image' };
  const version = view.getUint32(4);
  if (version !== 2 && version !== 3) return { problem: `is a qcow2 image of version ${version}` };
  const bytes = view.getBigUint64(24);
  const problem = problems(view, version, bytes).find(([wrong]) => wrong)?.[1];
  return problem === undefined ? { bytes } : { problem };
}

function problems(
  view: DataView,
  version: number,
  bytes: Bytes,
): readonly (readonly [boolean, string])[] {
  const features = version === 3 ? view.getBigUint64(72) : 0n;
  const backing = view.getBigUint64(8) !== 0n || view.getUint32(16) !== 0;
  return [
    [backing, 'has a backing file; flatten it first'],
    [(features & externalData) !== 0n, 'keeps its data in another file; convert it first'],
    [view.getUint32(32) !== 0, 'is encrypted; decrypt it first'],
    [
      view.getUint32(60) > mostSnapshots,
      `holds more than ${mostSnapshots} snapshots; remove them first`,
    ],
    [(features & ~knownFeatures) !== 0n, 'has features that no qemu-img knows; convert it first'],
    [
      !hasFitTables(view, version),
      'has tables of a size that no qemu-img writes; convert it first',
    ],
    [bytes === 0n, 'holds a disk of no size'],
    [bytes > maximumBytes, `holds a disk of more than ${showBytes(maximumBytes)}`],
  ];
}

/** Whether the sizes that everything else is calculated from are in their ranges. */
function hasFitTables(view: DataView, version: number): boolean {
  const bits = view.getUint32(20);
  const order = version === 3 ? view.getUint32(96) : 4;
  const length = version === 3 ? view.getUint32(100) : 72;
  const ranges: readonly (readonly [least: number, value: number, most: number])[] = [
    [clusterBits.least, bits, clusterBits.most],
    [0, view.getUint32(36), mostTable.entries],
    [0, view.getUint32(56) * 2 ** Math.min(bits, 32), mostTable.refcountBytes],
    [0, order, 6],
    [72, length, 2 ** clusterBits.most],
  ];
  return ranges.every(([least, value, most]) => least <= value && value <= most);
}
