import { createHash } from 'node:crypto';
import { availableParallelism, loadavg } from 'node:os';
import { GiB } from '../../../model/bytes.ts';
import { isScheduled, type VolumeOptions } from '../../../model/class/parameters.ts';
import { deviceSize } from '../../../linux/sysblock.ts';
import type { NodeRecord } from '../state/records.ts';
import type { NodeHost } from '../host.ts';
import { readVolume } from '../device/volume.ts';
import { isLive } from '../device/places.ts';

// One command does so much at most: a request that wants the volume waits for no more than that.
const step = 32n * GiB;

/** Gives what pods deleted back to GPFS, without a storm. */
export interface Trimmer {
  /** Trims the volume that waited longest, if one is due and the machine is calm; resolves to its id. */
  round(): Promise<string | undefined>;
}

const dayMs = 24 * 3_600_000;
const schedules = { daily: dayMs, weekly: 7 * dayMs, monthly: 30 * dayMs } as const;

// A class of attributes may change the schedule of a volume that is in use; so much later it counts here.
const lookMs = 15 * 60_000;

/** How often a volume is trimmed, as its record said a short while ago; 0: never. */
interface Schedule {
  readonly intervalMs: number;
  readonly lookedMs: number;
}

/**
 * Each volume of this node comes round once in so many ms, at a time of its own; 0: none does, but those that
 * have a schedule themselves. That time is of the clock on the wall, so a driver that restarts misses none.
 */
export function trimmerOf(host: NodeHost, usualMs: number): Trimmer {
  const started = host.clock.now();
  const trimmed = new Map<string, number>();
  const known = new Map<string, Schedule>();
  const dueOf = async (id: string): Promise<number> => {
    const said = known.get(id);
    const nowMs = host.clock.now();
    const fresh = said && nowMs - said.lookedMs < lookMs;
    const intervalMs = fresh ? said.intervalMs : await intervalOf(host, id, usualMs);
    if (!fresh) known.set(id, { intervalMs, lookedMs: nowMs });
    if (intervalMs === 0) return Infinity;
    const shift = spreadOf(host, id) * intervalMs;
    const last = trimmed.get(id) ?? started;
    return (Math.floor((last + shift) / intervalMs) + 1) * intervalMs - shift;
  };
  const dueNow = async (): Promise<readonly NodeRecord[]> => {
    const found: { readonly record: NodeRecord; readonly dueMs: number }[] = [];
    const mine = (await host.records.all()).records.filter((record) => mayTrim(host, record));
    forgetOthers(mine, trimmed, known);
    for (const record of mine) found.push({ record, dueMs: await dueOf(record.volumeId) });
    return found
      .filter(({ dueMs }) => dueMs <= host.clock.now())
      .sort((a, b) => a.dueMs - b.dueMs)
      .map(({ record }) => record);
  };
  return {
    round: async () => {
      if (isLoaded(host)) return undefined;
      for (const record of await dueNow()) {
        const { volumeId: id } = record;
        const before = trimmed.get(id);
        trimmed.set(id, host.clock.now());
        if (await trim(host, record)) return id;
        // Busy at this moment: its turn comes again, not only when it is due the next time.
        if (before === undefined) trimmed.delete(id);
        else trimmed.set(id, before);
      }
      return undefined;
    },
  };
}

/** What was known of volumes that left this node goes. */
function forgetOthers(here: readonly NodeRecord[], ...maps: readonly Map<string, unknown>[]) {
  const ids = new Set(here.map(({ volumeId }) => volumeId));
  for (const each of maps) for (const id of each.keys()) if (!ids.has(id)) each.delete(id);
}

/** As the record of the volume says now; 0 where that cannot be read. */
async function intervalOf(host: NodeHost, id: string, usualMs: number): Promise<number> {
  const options = await readVolume(host, id).then(
    ({ record }) => record.options,
    () => undefined,
  );
  return options ? trimIntervalOf(options, usualMs) : 0;
}

/** Trimmed neither against the will of its class, nor where it gives its blocks back by itself. */
function trimIntervalOf({ discard = 'auto', trim = 'auto' }: VolumeOptions, usualMs: number) {
  if (discard === 'off' || trim === 'never') return 0;
  if (isScheduled(trim)) return schedules[trim];
  return discard === 'on' ? 0 : usualMs;
}

// Neither the volumes of a node nor the nodes of a volume shall start together.
const spreadOf = ({ self }: NodeHost, id: string): number =>
  createHash('sha256').update(`${self.node} ${id}`).digest().readUInt32BE(0) / 2 ** 32;

const isLoaded = ({ limits }: NodeHost): boolean =>
  (loadavg()[0] ?? 0) > limits.trimLoad * availableParallelism();

const mayTrim = ({ self }: NodeHost, record: NodeRecord): boolean =>
  record.kind === 'mount' && record.staged && !record.readonly && record.bootId === self.bootId;

/** False for a volume that is busy. */
async function trim(host: NodeHost, record: NodeRecord): Promise<boolean> {
  const { volumeId: id, loop } = record;
  if (!loop) return false;
  return host.background.run(id, async (stop) => {
    if (await isLive(host, record)) await trimInSteps(host, record, loop.path, stop);
  });
}

async function trimInSteps(
  host: NodeHost,
  { stagingPath, fsType }: NodeRecord,
  device: string,
  stop: AbortSignal,
): Promise<void> {
  // btrfs counts from the start of something else than its device.
  if (fsType === 'btrfs') return host.fstrim(stagingPath);
  const size = await deviceSize(device);
  for (let from = 0n; from < size && !stop.aborted; from += step)
    await host.fstrim(stagingPath, { from, length: step });
}
