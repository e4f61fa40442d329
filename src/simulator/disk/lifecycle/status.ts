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

/** How a simulator is: complete, absent, or neither. */
export interface SimulatorStatus {
  readonly state: 'up' | 'down' | 'damaged';
  /** What is wrong, a sentence each. */
  readonly reasons: readonly string[];
  /** Parents that lost their name or changed, which GPFS would have refused. */
  readonly damaged: readonly string[];
  readonly description: Description | undefined;
}

/** Looks at a simulator and at every clone in it. */
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

/** What a simulator that was made lacks of being up. */
export function whatIsMissing(
  layout: SimulatorLayout,
  description: Description,
): readonly string[] {
  const mount = mountAt(layout);
  return [
    description.ready ? '' : 'it was never completed; simulate up makes it anew',
    existsSync(layout.image) ? '' : `its disk image ${layout.image} is gone`,
    loopsOf(layout.image).length > 0 ? '' : 'no loop device holds its disk image',
    mount && isOurs(layout, mount) ? '' : `${layout.mount} is not mounted`,
    existsSync(join(layout.bin, 'mmclone')) ? '' : `its executables in ${layout.bin} are gone`,
  ].filter((reason) => reason !== '');
}

/** The mount at the simulator's mount point itself, not one it lies under. */
export function mountAt(layout: SimulatorLayout): Mount | undefined {
  const mounts = parseMountinfo(readFileSync('/proc/self/mountinfo', 'latin1'));
  const found = mountOf(mounts, layout.mount);
  return found?.point === layout.mount ? found : undefined;
}

/** Whether a mount is of the simulator's own image. */
export const isOurs = (layout: SimulatorLayout, mount: Mount): boolean =>
  loopsOf(layout.image).includes(mount.source);
