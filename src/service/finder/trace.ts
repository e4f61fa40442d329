import { basename } from 'node:path';
import { shows } from '../../linux/mount.ts';
import { loopState } from '../../linux/sysblock.ts';
import type { FileKey } from '../../model/ids.ts';
import { mountOf, type Mount, type Mounts } from '../../run/mounts.ts';
import { isKey } from '../../store/layout.ts';
import { blockDevice, loopsIn } from '../node/device/loops.ts';
import type { NodeRecord } from '../node/state/records.ts';

/** What a path leads to on this node. */
export interface Trace {
  /** Records of this node whose volume has the device, the mount or the file. */
  readonly records: readonly NodeRecord[];
  /** The data file behind the device that was found, by its name. */
  readonly key: FileKey | undefined;
  /** The loop device at or below the path. */
  readonly device: string | undefined;
}

/** Where a path is looked up. */
export interface TraceHost {
  readonly mounts: Mounts;
  readonly records: readonly NodeRecord[];
}

/**
 * Follows a path of this node to a volume: `/dev/loopN`, a path that a call named, a path on the mount of a loop
 * device, or an image file. Only tables of the kernel and of the driver are read: the path itself is neither opened nor
 * followed through links, and may lie on a file system that hangs.
 */
export async function traceOf({ mounts, records }: TraceHost, path: string): Promise<Trace> {
  const device = isLoop(path) ? path : await deviceUnder(await mounts(), path);
  const named = records.filter((record) => pathsOf(record).some((each) => covers(each, path)));
  if (device === undefined) return { records: named, key: undefined, device };
  const state = await loopState(device);
  const file = basename((state?.backingFile ?? '').replace(/ \(deleted\)$/, ''));
  const users = records.filter((record) =>
    loopsIn(record).some((loop) => loop.path === device && loop.diskseq === state?.diskseq),
  );
  return {
    records: users.length > 0 ? users : named,
    key: isKey(file) ? file : undefined,
    device,
  };
}

const isLoop = (path: string): boolean => /^\/dev\/loop\d{1,7}$/.test(path);

const pathsOf = ({ stagingPath, stagingAsked, imagePath, targets }: NodeRecord) => [
  stagingPath,
  stagingAsked,
  imagePath,
  ...targets.flatMap(({ asked, path }) => [asked, path]),
];

const covers = (place: string, path: string): boolean =>
  path === place || path.startsWith(`${place}/`);

/** The loop device whose file system or node is mounted where a path lies. */
async function deviceUnder(mounts: readonly Mount[], path: string): Promise<string | undefined> {
  const mount = mountOf(mounts, path);
  if (!mount) return undefined;
  // A raw device is bound: its mount shows the node in the file system of /dev.
  for (const name of [`/dev${mount.root}`, mount.source]) {
    if (!isLoop(name)) continue;
    const device = await blockDevice({ path: name }).catch(() => undefined);
    if (device && shows(mount, device)) return name;
  }
  return undefined;
}
