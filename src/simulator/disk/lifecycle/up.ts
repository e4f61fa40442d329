import { existsSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { GiB, MiB, showBytes, type Bytes } from '../../../model/bytes.ts';
import { DriverError } from '../../../model/fault.ts';
import type { Run } from '../../../run/run.ts';
import { attachments } from './loops.ts';
import { detachAll } from './detach.ts';
import {
  simulatorLayoutOf,
  readDescription,
  readJson,
  type Description,
  type SimulatorLayout,
} from '../state/layout.ts';
import { processLock } from '../state/lock.ts';
import { readPersonality } from '../../core/personality.ts';
import { realFilesets } from '../filesets.ts';
import { writeShims } from './write-shims.ts';
import { lookAt, writeWhole } from '../state/state-files.ts';
import { isOurs, mountAt, whatIsMissing } from './status.ts';
import { unmountFree } from './unmount.ts';

export interface UpOptions {
  readonly run: Run;
  readonly dir: string;
  readonly size?: Bytes;
  /** Settings of docs/simulator.md. Settings that are not named keep their values. */
  readonly personality?: Readonly<Record<string, unknown>>;
}

const fileset = 'csi-data';
// mkfs.xfs refuses smaller file systems.
const smallest = 300n * MiB;

/** Sets up a simulator in a directory, or completes one. Keeps the data of one that was complete. */
export async function simulateUp(options: UpOptions): Promise<Description> {
  const layout = simulatorLayoutOf(options.dir);
  const size = options.size ?? 20n * GiB;
  refuseTooSmall(size);
  const personality = checkedPersonality(options.personality ?? {});
  await adopt(layout);
  const known = readDescription(layout.dir);
  const whole = known?.ready === true && existsSync(layout.image);
  const description = whole ? known : describe(layout, size);
  if (!whole) await discard(options.run, layout, description);
  await makeImage(options.run, layout, size);
  await attach(options.run, layout);
  await furnish(layout, description);
  savePersonality(layout, personality);
  await writeShims(layout);
  const done = { ...description, ready: true };
  writeWhole(layout.marker, `${JSON.stringify(done, null, 2)}\n`);
  const [missing] = whatIsMissing(layout, done);
  if (missing !== undefined) throw new DriverError('unavailable', missing);
  return done;
}

function refuseTooSmall(size: Bytes): void {
  if (size >= smallest) return;
  throw new DriverError(
    'misconfigured',
    `a simulated file system of ${showBytes(size)} is too small; give it at least ${showBytes(smallest)}`,
  );
}

function checkedPersonality(
  settings: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  try {
    readPersonality(settings);
    return settings;
  } catch (error) {
    throw new DriverError('misconfigured', error instanceof Error ? error.message : '', error);
  }
}

const describe = (layout: SimulatorLayout, size: Bytes): Description => ({
  simulator: 'gpfs-csi',
  ready: false,
  dir: layout.dir,
  mount: layout.mount,
  bin: layout.bin,
  device: 'fs1',
  node: 'a1',
  pools: ['system', 'data'],
  fileset,
  filesetPath: join(layout.mount, fileset),
  createdMs: Date.now(),
  sizeBytes: String(size),
});

// Accepts a directory that holds a simulator, is empty, or does not exist. So files of others are never removed.
async function adopt(layout: SimulatorLayout): Promise<void> {
  await mkdir(layout.dir, { recursive: true, mode: 0o755 });
  if (readDescription(layout.dir)) return;
  const [foreign] = (await readdir(layout.dir)).filter((name) => !name.endsWith('.json.new'));
  if (foreign !== undefined) {
    throw new DriverError(
      'misconfigured',
      `${layout.dir} holds ${foreign}, which the simulator did not make; choose an empty directory`,
    );
  }
}

// Removes a simulator whose set-up was never completed. It holds no data of users yet.
async function discard(run: Run, layout: SimulatorLayout, description: Description): Promise<void> {
  writeWhole(layout.marker, JSON.stringify(description));
  if (ownMount(layout)) await unmountFree(run, layout.mount);
  await detachAll(run, await attachments(run, layout.image));
  for (const path of [layout.image, layout.state]) await rm(path, { recursive: true, force: true });
}

/** Whether the simulator's file system is mounted. Refuses another mount in its place. */
export function ownMount(layout: SimulatorLayout): boolean {
  const mount = mountAt(layout);
  if (!mount) return false;
  if (isOurs(layout, mount)) return true;
  throw new DriverError(
    'misconfigured',
    `${mount.source} is mounted at ${layout.mount}, which the simulator did not do; unmount it first`,
  );
}

async function makeImage(run: Run, layout: SimulatorLayout, size: Bytes): Promise<void> {
  if (existsSync(layout.image)) return;
  const draft = `${layout.image}.new`;
  await rm(draft, { force: true });
  const handle = await open(draft, 'wx', 0o600);
  await handle.truncate(Number(size));
  await handle.close();
  await run(['mkfs.xfs', '-q', '-f', '-m', 'reflink=1', draft], 'write', { rights: 'all' });
  await rename(draft, layout.image);
}

async function attach(run: Run, layout: SimulatorLayout): Promise<void> {
  await mkdir(layout.mount, { recursive: true });
  if (ownMount(layout)) return;
  const [first, ...more] = await attachments(run, layout.image);
  await detachAll(run, more);
  const device = first ?? (await run(['losetup', '-f', '--show', layout.image], 'write')).trim();
  await run(['mount', '-t', 'xfs', device, layout.mount], 'write');
}

async function furnish(layout: SimulatorLayout, description: Description): Promise<void> {
  for (const part of ['children', 'drafts', 'filesets']) {
    await mkdir(join(layout.hidden, part), { recursive: true, mode: 0o700 });
  }
  await mkdir(join(layout.state, 'inodes'), { recursive: true, mode: 0o700 });
  processLock(join(layout.state, 'lock'));
  const filesets = realFilesets(layout);
  if (filesets.filesets().length > 1) return;
  const common = { createdMs: description.createdMs, independent: true };
  const root = String(lookAt(layout.mount)?.ino);
  filesets.putFileset({
    name: 'root',
    id: 0,
    rootInode: root,
    junction: layout.mount,
    comment: 'root fileset',
    ...common,
  });
  const junction = description.filesetPath;
  await mkdir(junction, { recursive: true, mode: 0o700 });
  filesets.putFileset({
    name: fileset,
    id: 1,
    rootInode: String(lookAt(junction)?.ino),
    junction,
    comment: '',
    ...common,
    independent: false,
  });
}

function savePersonality(
  layout: SimulatorLayout,
  settings: Readonly<Record<string, unknown>>,
): void {
  const before = (readJson(layout.personality) ?? {}) as Record<string, unknown>;
  writeWhole(layout.personality, `${JSON.stringify({ ...before, ...settings }, null, 2)}\n`);
}
