import { existsSync } from 'node:fs';
import { readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { DriverError } from '../../../model/fault.ts';
import { errnoOf } from '../../../run/files.ts';
import { parseMountinfo } from '../../../run/mounts.ts';
import type { Run } from '../../../run/run.ts';
import { attachments, attachmentsOn } from './loops.ts';
import { detachAll } from './detach.ts';
import { simulatorLayoutOf, readDescription, type SimulatorLayout } from '../state/layout.ts';
import { loopDevices } from '../state/open-files.ts';
import { mountAt } from './status.ts';
import { unmountFree } from './unmount.ts';
import { ownMount } from './up.ts';

export interface DownOptions {
  readonly run: Run;
  readonly dir: string;
  /** Also unmounts and detaches loop devices of volumes that a driver left behind. */
  readonly force?: boolean;
}

/** Removes a simulator with all its data. Does nothing when there is none. */
export async function simulateDown({ run, dir, force = false }: DownOptions): Promise<void> {
  const layout = simulatorLayoutOf(dir);
  if (!readDescription(dir)) {
    await refuseForeign(layout);
    return;
  }
  await freeVolumes(run, layout, force);
  if (ownMount(layout)) await unmountFree(run, layout.mount);
  await detachAll(run, await attachments(run, layout.image));
  const { image, state, library, bin, personality } = layout;
  const made = [image, `${image}.new`, state, library, bin, personality, `${personality}.new`];
  for (const path of made) await rm(path, { recursive: true, force: true });
  if (existsSync(layout.mount)) await rmdir(layout.mount);
  // Removes the marker last: as long as it is there, another `down` knows what to remove.
  await rm(`${layout.marker}.new`, { force: true });
  await rm(layout.marker);
  await rmdir(layout.dir).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOTEMPTY') throw error;
  });
}

async function refuseForeign(layout: SimulatorLayout): Promise<void> {
  const names = await readdir(layout.dir).catch(() => []);
  if (names.length === 0) return;
  throw new DriverError(
    'misconfigured',
    `${layout.dir} holds ${names[0] ?? ''} and no simulator; nothing was removed`,
  );
}

// A loop device on a volume keeps the file system busy, and a pod may be using it.
async function freeVolumes(run: Run, layout: SimulatorLayout, force: boolean): Promise<void> {
  const mount = mountAt(layout);
  const used = mount ? await attachmentsOn(run, mount.device) : [];
  const [first] = used;
  if (first === undefined) return;
  if (!force) {
    const file = loopDevices().find(({ device }) => device === first)?.backing ?? '';
    throw new DriverError(
      'wrong-state',
      `${first} still uses ${basename(file)} in ${layout.mount}; unstage it, or take the simulator down with --force`,
    );
  }
  await detachAll(run, used, (device) => unmountAll(run, device));
}

async function unmountAll(run: Run, device: string): Promise<void> {
  const mounts = parseMountinfo(await readFile('/proc/self/mountinfo', 'latin1'));
  const name = `/${basename(device)}`;
  const points = mounts.filter(({ source, root }) => source === device || root === name);
  for (const { point } of points.reverse()) await run(['umount', point], 'write');
}
