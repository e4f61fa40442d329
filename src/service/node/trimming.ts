import { createHash } from 'node:crypto';
import { availableParallelism, loadavg } from 'node:os';
import { GiB } from '../../model/bytes.ts';
import { deviceSize } from '../../linux/sysblock.ts';
import type { NodeRecord } from './noderecords.ts';
import type { NodeParts } from './parts.ts';
import { readSource } from './source.ts';
import { isLive } from './staging.ts';

// One command does so much at most: a request that wants the volume waits for no more than that.
const step = 32n * GiB;

/** Gives what pods deleted back to GPFS, without a storm. */
export interface Trimmer {
  /** Trims the volume that waited longest, if one is due and the machine is calm; resolves to its id. */
  round(): Promise<string | undefined>;
}

/** Each volume of this node comes round once in so many ms, at a time of its own; 0: none does. */
export function trimmerOf(parts: NodeParts, intervalMs: number): Trimmer {
  const started = parts.clock.now();
  const trimmed = new Map<string, number>();
  const dueOf = ({ volumeId }: NodeRecord): number =>
    (trimmed.get(volumeId) ?? started - spreadOf(parts, volumeId) * intervalMs) + intervalMs;
  return {
    round: async () => {
      if (intervalMs === 0 || isLoaded(parts)) return undefined;
      const due = (await parts.records.all()).records
        .filter((record) => mayTrim(parts, record) && dueOf(record) <= parts.clock.now())
        .sort((a, b) => dueOf(a) - dueOf(b));
      for (const record of due) {
        trimmed.set(record.volumeId, parts.clock.now());
        if (await trim(parts, record)) return record.volumeId;
      }
      return undefined;
    },
  };
}

// Neither the volumes of a node nor the nodes of a volume shall start together.
const spreadOf = ({ self }: NodeParts, id: string): number =>
  createHash('sha256').update(`${self.node} ${id}`).digest().readUInt32BE(0) / 2 ** 32;

const isLoaded = ({ limits }: NodeParts): boolean =>
  (loadavg()[0] ?? 0) > limits.trimLoad * availableParallelism();

const mayTrim = ({ self }: NodeParts, record: NodeRecord): boolean =>
  record.kind === 'mount' && record.staged && !record.readonly && record.bootId === self.bootId;

/** False for a volume that is busy, gone, or gives its blocks back by itself or not at all. */
async function trim(parts: NodeParts, record: NodeRecord): Promise<boolean> {
  const { volumeId: id, loop } = record;
  const { discard } = (await readSource(parts, id)).record.options;
  if (!loop || (discard !== undefined && discard !== 'auto')) return false;
  return parts.background.run(id, async (stop) => {
    if (await isLive(parts, record)) await trimInSteps(parts, record, loop.path, stop);
  });
}

async function trimInSteps(
  parts: NodeParts,
  { stagingPath, fsType }: NodeRecord,
  device: string,
  stop: AbortSignal,
): Promise<void> {
  // btrfs counts from the start of something else than its device.
  if (fsType === 'btrfs') return parts.fstrim(stagingPath);
  const size = await deviceSize(device);
  for (let from = 0n; from < size && !stop.aborted; from += step)
    await parts.fstrim(stagingPath, { from, length: step });
}
