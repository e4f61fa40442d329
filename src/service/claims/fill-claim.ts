import { showBytes, type Bytes } from '../../model/bytes.ts';
import type { Fill } from '../../store/schema/claim.ts';

/** A fill of which nothing is done yet. */
export const newFill = (thick: boolean): Fill => ({
  thick,
  allocatedBytes: 0n,
  copiedBytes: 0n,
  from: null,
});

/** How far a fill is, for people who wait for it. */
export function showFill({ thick, allocatedBytes, copiedBytes, from }: Fill): string {
  const copied = (bytes: Bytes) => `${showBytes(copiedBytes)} of ${showBytes(bytes)} copied`;
  return [
    ...(thick ? [`${showBytes(allocatedBytes)} allocated`] : []),
    ...(from ? [copied(from.bytes)] : []),
  ].join(', ');
}
