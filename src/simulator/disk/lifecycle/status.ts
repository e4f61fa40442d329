import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mountOf, parseMountinfo, type Mount } from '../../../run/mounts.ts';
import { fileTracker, type Damage } from '../state/file-tracker.ts';
import {
  simulatorLayoutOf,
  readDescription,
  type Description,
  type SimulatorLayout,
} from '../state/layout.ts';
import { loopsOf } from '../state/open-files.ts';
import { lockOf, realGround } from '../ground.ts';
import { stateFiles } from '../state/state-files.ts';

/** The state of a simulator: complete, absent, or damaged. */
export interface SimulatorStatus {
  readonly state: 'up' | 'down' | 'damaged';
  /** What is wrong, one sentence each. */
  readonly reasons: readonly string[];
  /** Paths of parents that were removed or changed, which GPFS would have refused. */
  readonly damaged: readonly string[];
  readonly description: Description | undefined;
}

/** Checks a simulator and every clone in it. */
export async function simulateStatus(options: { readonly dir: string }): Promise<SimulatorStatus> {
  const layout = simulatorLayoutOf(options.dir);
  const description = readDescription(options.dir);
  if (!description) {
    const reasons = [`there is no simulator in ${layout.dir}`];
    return { state: 'down', reasons, damaged: [], description };
  }
  const missing = whatIsMissing(layout, description);
  if (missing.length > 0) {
    return { state: 'damaged', reasons: missing, damaged: [], description };
  }
  const damages = await sweep(layout);
  const reasons = damages.map(sentence);
  const state = damages.length === 0 ? 'up' : 'damaged';
  return { state, reasons, damaged: damages.map(({ path }) => path), description };
}

const sentence = ({ path, what }: Damage): string =>
  what === 'vanished'
    ? `${path} was removed while clones still read through it`
    : `${path} is a clone parent and was written to`;

async function sweep(layout: SimulatorLayout): Promise<readonly Damage[]> {
  return lockOf(layout).holdSoon(() => {
    realGround(layout.dir).recover();
    const tracker = fileTracker(layout, stateFiles(layout), () => Date.now());
    tracker.checkAll();
    return tracker.damages();
  });
}

/** What keeps a simulator from being up. */
export function whatIsMissing(
  layout: SimulatorLayout,
  description: Description,
): readonly string[] {
  const mount = mountAt(layout);
  return [
    description.ready ? '' : 'it was never completed; simulate up recreates it',
    existsSync(layout.image) ? '' : `its disk image ${layout.image} is gone`,
    loopsOf(layout.image).length > 0 ? '' : 'no loop device holds its disk image',
    mount && isOurs(layout, mount) ? '' : `${layout.mount} is not mounted`,
    existsSync(join(layout.bin, 'mmclone')) ? '' : `its executables in ${layout.bin} are gone`,
  ].filter((reason) => reason !== '');
}

/** The mount at the simulator's mount point, not the mount around it. */
export function mountAt(layout: SimulatorLayout): Mount | undefined {
  const mounts = parseMountinfo(readFileSync('/proc/self/mountinfo', 'latin1'));
  const found = mountOf(mounts, layout.mount);
  return found?.point === layout.mount ? found : undefined;
}

/** Whether a mount shows the simulator's own image. */
export const isOurs = (layout: SimulatorLayout, mount: Mount): boolean =>
  loopsOf(layout.image).includes(mount.source);
