import { createHash } from 'node:crypto';
import { availableParallelism, loadavg } from 'node:os';
import { GiB } from '../../../model/bytes.ts';
import { isScheduled, type VolumeOptions } from '../../../model/class/parameters.ts';
import { deviceSize } from '../../../linux/sysblock.ts';
import type { NodeRecord } from '../state/records.ts';
import type { NodeHost } from '../host.ts';
import { readVolume } from '../device/volume.ts';
import { isLive } from '../device/places.ts';

// The most that one command trims: a request that wants the volume waits no longer than one step.
const step = 32n * GiB;

/** Returns the blocks of what pods deleted to GPFS, one volume after the other. */
export interface Trimmer {
  /** Trims the volume that waited longest, if one is due and the load is low; resolves to its id. */
  round(): Promise<string | undefined>;
}

const dayMs = 24 * 3_600_000;
const schedules = { daily: dayMs, weekly: 7 * dayMs, monthly: 30 * dayMs } as const;

// ControllerModifyVolume may change the schedule of a volume in use; this node reads it again after so long.
const rereadMs = 15 * 60_000;

/** How often a volume is trimmed, and when its record said so; interval 0: never. */
interface Schedule {
  readonly intervalMs: number;
  readonly readMs: number;
}

/**
 * Trims each volume of this node once in `usualMs`, at a time of its own; 0: only volumes with a schedule of their
 * own. The times are those of the wall clock, so a driver that restarts misses none.
 */
export function trimmerOf(host: NodeHost, usualMs: number): Trimmer {
  const started = host.clock.now();
  const trimmed = new Map<string, number>();
  const known = new Map<string, Schedule>();
  const dueOf = async (id: string): Promise<number> => {
    const last = known.get(id);
    const nowMs = host.clock.now();
    const fresh = last && nowMs - last.readMs < rereadMs;
    const intervalMs = fresh ? last.intervalMs : await intervalOf(host, id, usualMs);
    if (!fresh) known.set(id, { intervalMs, readMs: nowMs });
    if (intervalMs === 0) return Infinity;
    const shift = spreadOf(host, id) * intervalMs;
    const trimmedMs = trimmed.get(id) ?? started;
    return (Math.floor((trimmedMs + shift) / intervalMs) + 1) * intervalMs - shift;
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
        // Busy: it stays due, and the next round tries it again.
        if (before === undefined) trimmed.delete(id);
        else trimmed.set(id, before);
      }
      return undefined;
    },
  };
}

/** Removes what is known of volumes that left this node. */
function forgetOthers(here: readonly NodeRecord[], ...maps: readonly Map<string, unknown>[]) {
  const ids = new Set(here.map(({ volumeId }) => volumeId));
  for (const each of maps) for (const id of each.keys()) if (!ids.has(id)) each.delete(id);
}

/** The interval by the volume's record; 0 where the record cannot be read. */
async function intervalOf(
  host: Pick<NodeHost, 'roots'>,
  id: string,
  usualMs: number,
): Promise<number> {
  const options = await readVolume(host, id).then(
    ({ record }) => record.options,
    () => undefined,
  );
  return options ? trimIntervalOf(options, usualMs) : 0;
}

/** 0 where the class forbids trims, or where the file system discards by itself. */
function trimIntervalOf({ discard = 'auto', trim = 'auto' }: VolumeOptions, usualMs: number) {
  if (discard === 'off' || trim === 'never') return 0;
  if (isScheduled(trim)) return schedules[trim];
  return discard === 'on' ? 0 : usualMs;
}

// Spreads trims over the interval: neither the volumes of a node nor the nodes of a volume start together.
const spreadOf = ({ self }: Pick<NodeHost, 'self'>, id: string): number =>
  createHash('sha256').update(`${self.node} ${id}`).digest().readUInt32BE(0) / 2 ** 32;

const isLoaded = ({ limits }: Pick<NodeHost, 'limits'>): boolean =>
  (loadavg()[0] ?? 0) > limits.trimLoad * availableParallelism();

const mayTrim = ({ self }: Pick<NodeHost, 'self'>, record: NodeRecord): boolean =>
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
  { fstrim }: Pick<NodeHost, 'fstrim'>,
  { stagingPath, fsType }: NodeRecord,
  device: string,
  stop: AbortSignal,
): Promise<void> {
  // Offsets of btrfs are not those of its device, so it is trimmed in one step.
  if (fsType === 'btrfs') return fstrim(stagingPath);
  const size = await deviceSize(device);
  for (let from = 0n; from < size && !stop.aborted; from += step)
    await fstrim(stagingPath, { from, length: step });
}
