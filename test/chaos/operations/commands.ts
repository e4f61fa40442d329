import { execFile } from 'node:child_process';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { offsetOf } from '../files.ts';
import { Track } from '../model.ts';
import { blockBytes, blockOf, slots, strideBytes } from '../pattern.ts';
import { runMark } from '../ground/processes.ts';
import {
  Broken,
  alone,
  type ChaosSnapshot,
  type ChaosVolume,
  type Lane,
  type World,
} from '../world.ts';

const longestMs = 240_000;
const wrongUsage = 2;

interface Failed {
  readonly code?: unknown;
  readonly signal?: string;
  readonly stderr?: string;
}

/** Runs a command of the driver until it succeeds, as an administrator does who reads what it says. */
async function command(
  world: World,
  lane: Lane,
  about: string,
  argv: readonly string[],
): Promise<void> {
  const { site, program, journal } = world;
  const words = [program, ...argv, '--mm-dir', site.bin, '--mm-runner', 'direct'];
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', [runMark]: site.work };
  const until = Date.now() + longestMs;
  const note = (failed: Failed | undefined): void => {
    journal.note('command', { lane: lane.name, about, argv, stderr: failed?.stderr });
    journal.count(
      'commands',
      `${argv[0] ?? ''} ${failed ? (failed.signal === 'SIGKILL' ? 'killed' : 'failed') : 'done'}`,
    );
  };
  for (;;) {
    world.signal.throwIfAborted();
    lane.steps += 1;
    const run = promisify(execFile)(process.execPath, words, { env });
    // An administrator whose terminal goes away.
    const limit = lane.random.chance(0.2) ? 200 + lane.random.int(1_500) : undefined;
    const killing = limit && setTimeout(() => run.child.kill('SIGKILL'), limit);
    const failed = await run.then(
      () => undefined,
      (error: unknown) => error as Failed,
    );
    clearTimeout(killing);
    note(failed);
    if (!failed) return;
    if (isHopeless(failed) || Date.now() > until)
      throw new Broken(`${argv.join(' ')} (${about}) does not succeed: ${failed.stderr ?? ''}`);
    await sleep(200 + lane.random.int(2_000));
  }
}

const isHopeless = ({ code, stderr = '' }: Failed): boolean =>
  code === wrongUsage || stderr.includes('internal error');

/** Makes a disk with a pattern, and takes it in as a golden image. */
export async function importImage(world: World, lane: Lane): Promise<void> {
  const number = world.next();
  const name = `i${number}`;
  const root = lane.random.of(world.site.roots);
  const track = new Track(number);
  const path = join(world.site.work, `${name}.raw`);
  await writeDisk(world, lane, track, path);
  const how = ['--name', name, '--format', 'raw', '--root', root];
  await command(world, lane, name, ['image', 'import', path, ...how]);
  await rm(path);
  world.snapshots.add({
    what: 'image',
    name,
    id: name,
    root,
    kind: 'raw',
    bytes: BigInt(slots * strideBytes),
    content: track.content,
    group: undefined,
    readers: 0,
    alone: false,
  });
}

async function writeDisk(world: World, lane: Lane, track: Track, path: string): Promise<void> {
  await using file = await open(path, 'w');
  await file.truncate(slots * strideBytes);
  for (let left = 6; left > 0; left -= 1) {
    const slot = lane.random.int(slots);
    const write = world.writes.begin(track, slot);
    const block = blockOf({ object: track.object, write, slot });
    await file.write(block, 0, blockBytes, offsetOf('raw', slot));
    track.done(slot, write);
  }
}

/** Removes a golden image; volumes that were made from it keep what they need. */
export async function removeImage(world: World, lane: Lane, image: ChaosSnapshot): Promise<void> {
  await alone(image, async () => {
    const argv = ['image', 'remove', image.name, '--root', image.root];
    await command(world, lane, image.name, argv);
    world.snapshots.delete(image);
  });
}

/** Moves a volume that nothing uses to the other root. */
export async function migrate(
  world: World,
  lane: Lane,
  volume: ChaosVolume | undefined,
): Promise<void> {
  await alone(volume, async () => {
    if (!volume || [...world.lost].some((each) => each.volume === volume.name)) return;
    const to = world.site.roots.find((root) => root !== volume.root) ?? '';
    const argv = ['migrate', volume.id, '--to', to, '--root', `${volume.root},${to}`];
    await command(world, lane, volume.name, argv);
    volume.root = to;
  });
}
