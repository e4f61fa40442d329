import type { Loop } from '../../linux/losetup.ts';
import { loopsIn, obtainLoop } from './devices.ts';
import type { NodeRecord } from './noderecords.ts';
import type { NodeParts } from './parts.ts';
import type { Source } from './source.ts';
import { release } from './teardown.ts';

/** A record of this node that names a device. */
export type HeldRecord = NodeRecord & { readonly loop: Loop };

/** Gives a volume its device here and names it in the record; one that was for another use goes first. */
export async function attach(
  parts: NodeParts,
  source: Source,
  record: NodeRecord,
  how: { readonly readonly: boolean; readonly begun: boolean },
): Promise<HeldRecord> {
  const other = record.loop !== null && record.loop.readonly !== how.readonly;
  const before = other ? await release(parts, record) : record;
  const loop = await obtainLoop(parts, {
    ...how,
    source,
    image: before.image,
    own: loopsIn(before),
    current: before.loop,
  });
  const held = { ...before, loop };
  await parts.records.write(held);
  return held;
}
