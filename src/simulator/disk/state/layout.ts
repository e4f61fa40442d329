import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { errnoOf } from '../../../run/files.ts';

/** Paths of the files of a simulator of executables. */
export interface SimulatorLayout {
  readonly dir: string;
  readonly marker: string;
  readonly image: string;
  readonly mount: string;
  readonly bin: string;
  readonly library: string;
  readonly personality: string;
  readonly state: string;
  readonly damage: string;
  /** On the simulated file system itself: links, drafts and unlinked filesets. */
  readonly hidden: string;
}

/** The content of the marker file, which shows that a directory holds a simulator, and describes it. */
export interface Description {
  readonly simulator: 'gpfs-csi';
  /** False until `up` has completed once. While it is false, the next `up` discards what is there. */
  readonly ready: boolean;
  readonly dir: string;
  readonly mount: string;
  readonly bin: string;
  readonly device: string;
  readonly node: string;
  readonly pools: readonly string[];
  readonly fileset: string;
  readonly filesetPath: string;
  readonly createdMs: number;
  readonly sizeBytes: string;
}

/** All paths of the simulator in this directory. */
export function simulatorLayoutOf(dir: string): SimulatorLayout {
  const at = resolve(dir);
  const mount = join(at, 'fs1');
  return {
    dir: at,
    marker: join(at, 'gpfs-csi-simulator.json'),
    image: join(at, 'image.xfs'),
    mount,
    bin: join(at, 'bin'),
    library: join(at, 'lib'),
    personality: join(at, 'personality.json'),
    state: join(at, 'state'),
    damage: join(at, 'state', 'damage.json'),
    hidden: join(mount, '.gpfs-sim'),
  };
}

/** The JSON in a file, or undefined when there is no file. */
export function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as unknown;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** The marker of a directory, or undefined when the directory holds no simulator. */
export function readDescription(dir: string): Description | undefined {
  const found = readJson(simulatorLayoutOf(dir).marker);
  if (typeof found !== 'object' || found === null) return undefined;
  const isOurs = 'simulator' in found && found.simulator === 'gpfs-csi';
  return isOurs ? (found as Description) : undefined;
}
