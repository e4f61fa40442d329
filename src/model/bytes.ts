/** A size or an offset in bytes: whole, not negative unless it says so. */
export type Bytes = bigint;

export const KiB: Bytes = 1024n;
export const MiB: Bytes = 1024n * KiB;
export const GiB: Bytes = 1024n * MiB;
export const TiB: Bytes = 1024n * GiB;

/** Sector size of every loop device, and so the unit of every image file (node-rules: 512 flips after a clone). */
export const sector: Bytes = 4096n;

/** `bytes` up to the next multiple of `unit`. */
export const roundUp = (bytes: Bytes, unit: Bytes): Bytes => ((bytes + unit - 1n) / unit) * unit;

/** `bytes` down to a multiple of `unit`. */
export const roundDown = (bytes: Bytes, unit: Bytes): Bytes => (bytes / unit) * unit;

/** A size for people: exact in the largest unit that divides it, else bytes. */
export function showBytes(bytes: Bytes): string {
  const units = [
    ['TiB', TiB],
    ['GiB', GiB],
    ['MiB', MiB],
    ['KiB', KiB],
  ] as const;
  const fit = units.find(([, unit]) => bytes >= unit && bytes % unit === 0n);
  return fit ? `${bytes / fit[1]} ${fit[0]}` : `${bytes} bytes`;
}
