import type { Loop } from '../../../linux/loop.ts';
import { withAttaching, obtainLoop, serves } from './loops.ts';
import type { NodeRecord } from '../state/records.ts';
import type { NodeHost } from '../host.ts';
import type { NodeVolume } from './volume.ts';
import { release } from './release.ts';

/** A record of this node that names a device. */
export type HeldRecord = NodeRecord & { readonly loop: Loop };

/** How a device is wanted; `resumed`: an earlier attempt may have attached it and died. */
export interface Attaching {
  readonly readonly: boolean;
  readonly resumed: boolean;
}

/** Gives a volume its device here and names it in the record; one that was for another use goes first. */
export async function attach(
  host: NodeHost,
  volume: NodeVolume,
  record: NodeRecord,
  how: Attaching,
): Promise<HeldRecord> {
  const { loop } = record;
  const wanted = { record: volume.record, readonly: how.readonly };
  if (loop && (await serves(host, loop, record, wanted))) return named(host, record, loop);
  const before = loop ? await release(host, record) : record;
  const intended = await noteAttaching(host, volume, before);
  return named(host, intended, await obtainLoop(host, volume, intended, how));
}

/** Writes down that a device is about to be attached, where the record does not say so yet. */
export async function noteAttaching(
  host: NodeHost,
  { store }: NodeVolume,
  record: NodeRecord,
): Promise<NodeRecord> {
  if (record.attaching) return record;
  const intended = await withAttaching(host, store, record);
  await host.records.write(intended);
  return intended;
}

async function named(host: NodeHost, record: NodeRecord, loop: Loop): Promise<HeldRecord> {
  const held = { ...record, loop, attaching: undefined };
  await host.records.write(held);
  return held;
}
