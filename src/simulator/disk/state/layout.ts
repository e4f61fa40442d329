import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { errnoOf } from '../../../run/files.ts';

/** Where a simulator of the executables' kind keeps what it has. */
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

/** What the marker file in a directory says: that it is ours, and what is in it. */
export interface Description {
  readonly simulator: 'gpfs-csi';
  /** False until everything was made once; then what is there is thrown away by the next `up`. */
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

/** JSON of a file, or undefined when there is none. */
export function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as unknown;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** The marker of a directory, or undefined when it is none of ours. */
export function readDescription(dir: string): Description | undefined {
  const told = readJson(simulatorLayoutOf(dir).marker);
  if (typeof told !== 'object' || told === null) return undefined;
  return 'simulator' in told && told.simulator === 'gpfs-csi' ? (told as Description) : undefined;
}
