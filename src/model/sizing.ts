import { GiB, MiB, TiB, roundDown, roundUp, sector, showBytes, type Bytes } from './bytes.ts';
import { fsTypeOf, type Capability, type FsType } from './capability.ts';
import { DriverError } from './fault.ts';
import type { CapacityRange } from './volume.ts';

/** The size of a volume where the caller gives none. */
const defaultBytes: Bytes = GiB;

/** The largest volume: what ext4 with 4 KiB blocks holds on every kernel we meet is above it. */
export const maximumBytes: Bytes = 64n * TiB;

/** The smallest device each file system can be made on; mkfs refuses anything under it. */
export const smallestMade: Readonly<Record<FsType, Bytes>> = {
  ext4: MiB,
  xfs: 300n * MiB,
  btrfs: 128n * MiB,
};

/** The smallest new volume with each file system. In less than 8 MiB mkfs makes an ext4 without a journal. */
export const smallestFor: Readonly<Record<FsType, Bytes>> = { ...smallestMade, ext4: 16n * MiB };

/** The smallest volume that can be used in all of these ways. */
export const minimumBytes = (
  capabilities: readonly Capability[],
  ofClass: FsType | undefined,
): Bytes =>
  capabilities
    .map(({ access }) => (access.kind === 'mount' ? smallestFor[fsTypeOf(access, ofClass)] : MiB))
    .reduce(larger, MiB);

const outOfRange = (why: string): DriverError => new DriverError('size-out-of-range', why);

/**
 * The size of a new volume: whole MiB where the limit allows, else whole sectors, never above the limit.
 * `sourceBytes` is the least size of a clone or a restore.
 */
export function sizeOfNew(
  range: CapacityRange | undefined,
  minimum: Bytes,
  sourceBytes: Bytes | undefined,
): Bytes {
  const { requiredBytes: required, limitBytes: limit } = range ?? noRange;
  if (sourceBytes !== undefined) refuseSmaller(required, sourceBytes);
  const wanted = required || (sourceBytes ?? underLimit(defaultBytes, limit, minimum));
  return fit(larger(wanted, minimum), limit);
}

const noRange: CapacityRange = { requiredBytes: 0n, limitBytes: 0n };

const larger = (a: Bytes, b: Bytes): Bytes => (a > b ? a : b);

function refuseSmaller(required: Bytes, sourceBytes: Bytes): void {
  if (required === 0n || required >= sourceBytes) return;
  throw outOfRange(
    `capacity_range asks for ${showBytes(required)}, less than the ${showBytes(sourceBytes)} of its source; ask for at least that`,
  );
}

/** The size of a volume of `current` bytes after an expansion; never smaller. */
export function sizeOfGrown(range: CapacityRange, current: Bytes): Bytes {
  const { requiredBytes, limitBytes } = range;
  if (limitBytes > 0n && limitBytes < current)
    throw outOfRange(
      `capacity_range.limit_bytes is ${showBytes(limitBytes)}, but the volume has ${showBytes(current)} already and volumes never shrink`,
    );
  return requiredBytes <= current ? current : fit(requiredBytes, limitBytes);
}

const underLimit = (wanted: Bytes, limit: Bytes, minimum: Bytes): Bytes => {
  const most = limit > 0n && limit < wanted ? roundDown(limit, sector) : wanted;
  return larger(most, minimum);
};

function fit(wanted: Bytes, limit: Bytes): Bytes {
  const candidates = [roundUp(wanted, MiB), roundUp(wanted, sector)];
  const fitting = candidates.find((bytes) => limit === 0n || bytes <= limit);
  if (fitting === undefined)
    throw outOfRange(
      `no volume size fits between ${showBytes(wanted)} and capacity_range.limit_bytes ${showBytes(limit)}: sizes are multiples of ${sector} bytes`,
    );
  if (fitting > maximumBytes)
    throw outOfRange(
      `capacity_range asks for ${showBytes(wanted)}, more than the largest volume of ${showBytes(maximumBytes)}`,
    );
  return fitting;
}
