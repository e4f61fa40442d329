import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Attached } from '../../linux/loop.ts';
import { shows } from '../../linux/mount.ts';
import { hasTailOf, loopState, type LoopState } from '../../linux/sysblock.ts';
import type { DeviceCounters, DeviceFacts, LocalFacts } from '../../model/explain/facts.ts';
import { isReadOnly, type Mount } from '../../run/mounts.ts';
import { blockDevice, loopsIn } from '../node/device/loops.ts';
import type { NodeRecord, Target } from '../node/state/records.ts';
import type { ExplainHost } from './host.ts';

/** What this node has of a volume. `inode` is that of the volume's image now; undefined where its root is away. */
export async function localFacts(
  host: ExplainHost,
  record: NodeRecord,
  inode: bigint | undefined,
): Promise<LocalFacts> {
  const devices = await devicesOf(host, record);
  const mounts = await host.mounts();
  const shown = await Promise.all(devices.map((device) => mountsOf(mounts, device)));
  return {
    recordPath: host.recordPath(record.volumeId),
    staged: record.staged,
    stagingPath: record.stagingPath,
    generation: record.generation,
    devices: (await Promise.all(devices.map((each) => deviceFacts(record, each, inode)))).flat(),
    mounts: distinct(shown.flat()).map((mount) => ({
      path: mount.point,
      type: mount.type,
      readonly: isReadOnly(mount),
    })),
    pods: record.targets.flatMap(podOf),
  };
}

/** The devices that the record names, while they are attached, and every other one of the same file. */
async function devicesOf(
  { losetup }: Pick<ExplainHost, 'losetup'>,
  record: NodeRecord,
): Promise<readonly Attached[]> {
  const named: Attached[] = [];
  for (const loop of loopsIn(record)) if (await losetup.isAttached(loop)) named.push(loop);
  const others = await losetup.loopsOf(record.image, record.imagePath);
  return [...named, ...others.filter((each) => !named.some((loop) => isSameLoop(loop, each)))];
}

const isSameLoop = (a: Attached, b: Attached): boolean =>
  a.path === b.path && a.diskseq === b.diskseq;

async function mountsOf(mounts: readonly Mount[], device: Attached): Promise<readonly Mount[]> {
  const block = await blockDevice(device).catch(() => undefined);
  return block ? mounts.filter((mount) => shows(mount, block)) : [];
}

const distinct = (mounts: readonly Mount[]): readonly Mount[] => [
  ...new Map(mounts.map((mount) => [mount.point, mount])).values(),
];

async function deviceFacts(
  record: NodeRecord,
  device: Attached,
  inode: bigint | undefined,
): Promise<readonly DeviceFacts[]> {
  const state = await loopState(device.path);
  if (!state) return [];
  return [
    {
      path: device.path,
      file: state.backingFile,
      recorded: loopsIn(record).some((loop) => isSameLoop(loop, device)),
      current: isCurrent(record, device, state, inode),
      directIo: state.directIo,
      readonly: state.readonly,
      sectorBytes: state.sectorBytes,
      bytes: Number(state.size),
      counters: await countersOf(device.path),
    },
  ];
}

/** By the inode where the kernel and the record say it, else by the name of the file. */
function isCurrent(
  record: NodeRecord,
  { backing }: Attached,
  state: LoopState,
  inode: bigint | undefined,
): boolean {
  const wanted = inode ?? record.image.inode;
  return backing ? backing.inode === wanted : hasTailOf(state, record.imagePath);
}

/** Reads the counters of a block device; what it does not show counts as 0 (docs.kernel.org/block/stat.html). */
async function countersOf(device: string): Promise<DeviceCounters> {
  const text = await readFile(`/sys/block/${basename(device)}/stat`, 'latin1').catch(() => '');
  return parseCounters(text);
}

/** Parses /sys/block/DEVICE/stat. Sectors there have 512 bytes on every device. */
function parseCounters(text: string): DeviceCounters {
  const fields = text.trim().split(/\s+/).map(Number);
  const at = (n: number): number => {
    const value = fields[n] ?? 0;
    return Number.isFinite(value) ? value : 0;
  };
  return {
    reads: at(0),
    readBytes: at(2) * 512,
    readMs: at(3),
    writes: at(4),
    writtenBytes: at(6) * 512,
    writeMs: at(7),
    inFlight: at(8),
  };
}

/**
 * The pod of a target path of the kubelet: `…/pods/UID/volumes/…/mount`, and for a raw device
 * `…/volumeDevices/publish/PV/UID`.
 */
function podOf({ path }: Target): LocalFacts['pods'] {
  const uid =
    /\/pods\/([^/]+)\/volumes?\b/.exec(path)?.[1] ??
    /\/volumeDevices\/publish\/[^/]+\/([^/]+)$/.exec(path)?.[1];
  return uid === undefined ? [] : [{ uid, path }];
}
