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

/** A size for people who compare: three digits at most, so rounded. */
export function roundBytes(bytes: Bytes): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const;
  let left = Number(bytes);
  let unit = 0;
  // 999.5 would be printed as 1000.
  while (left >= 999.5 && unit < units.length - 1) {
    left /= 1024;
    unit += 1;
  }
  if (left === 0) return '0';
  const digits = left < 9.95 && unit > 0 ? left.toFixed(1).replace('.0', '') : left.toFixed(0);
  return `${digits} ${units[unit] ?? ''}`;
}

/** A size for people: exact in the largest unit that divides it, else bytes. */
export function showBytes(bytes: Bytes): string {
  const units = [
    ['TiB', TiB],
    ['GiB', GiB],
    ['MiB', MiB],
    ['KiB', KiB],
  ] as const;
  const fit = units.find(([, unit]) => bytes >= unit && bytes % unit === 0n);
  return fit ? `${bytes / fit[1]} ${fit[0]}` : bytes === 1n ? '1 byte' : `${bytes} bytes`;
}

/** A count and what is counted: `1 volume`, `4,997 volumes`. The second word is for what has another plural. */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`;
