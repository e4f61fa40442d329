import type { Loop } from '../../../linux/loop.ts';
import { withAttaching, obtainLoop, isAsWanted } from './loops.ts';
import type { NodeRecord } from '../state/records.ts';
import type { NodeHost } from '../host.ts';
import type { NodeVolume } from './volume.ts';
import { release } from './release.ts';

/** A record of this node that names a device. */
export type HeldRecord = NodeRecord & { readonly loop: Loop };

/** The device that is wanted. `resumed`: an earlier attempt may have attached it before its process died. */
export interface Attaching {
  readonly readonly: boolean;
  readonly resumed: boolean;
}

/** Attaches a volume's device and names it in the record. A device for another use is detached first. */
export async function attach(
  host: NodeHost,
  volume: NodeVolume,
  record: NodeRecord,
  how: Attaching,
): Promise<HeldRecord> {
  const { loop } = record;
  const wanted = { record: volume.record, readonly: how.readonly };
  if (loop && (await isAsWanted(host, loop, record, wanted))) return withNamed(host, record, loop);
  const before = loop ? await release(host, record) : record;
  const intended = await noteAttaching(host, volume, before);
  return withNamed(host, intended, await obtainLoop(host, volume, intended, how));
}

/** Writes into the record that a device is about to be attached, unless it says so already. */
export async function noteAttaching(
  host: Pick<NodeHost, 'losetup' | 'self' | 'records'>,
  { store }: NodeVolume,
  record: NodeRecord,
): Promise<NodeRecord> {
  if (record.attaching) return record;
  const intended = await withAttaching(host, store, record);
  await host.records.write(intended);
  return intended;
}

async function withNamed(
  { records }: Pick<NodeHost, 'records'>,
  record: NodeRecord,
  loop: Loop,
): Promise<HeldRecord> {
  const held = { ...record, loop, attaching: undefined };
  await records.write(held);
  return held;
}
