import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { errnoOf, type Files } from '../../../src/run/files.ts';
import { hostFiles } from '../../../src/run/host-files.ts';
import { CommandFailed, type Run } from '../../../src/run/run.ts';
import { runCommand } from '../../../src/simulator/commands/dispatch.ts';
import { simulateGpfs } from '../../../src/simulator/memory/gpfs.ts';
import { simulatorLayoutOf } from '../../../src/simulator/disk/state/layout.ts';
import { lockOf, realGround } from '../../../src/simulator/disk/ground.ts';
import { simulatedFiles } from '../../../src/simulator/disk/files.ts';
import { simulateStatus } from '../../../src/simulator/disk/lifecycle/status.ts';
import { testSimulator, type TestSimulator } from '../../support/disk/simulator-host.ts';

// Both faces do the same random things and have to say the same, word for word.

interface Face {
  readonly root: string;
  readonly mount: string;
  readonly run: Run;
  readonly files: Files;
  write(path: string, block: number, letter: string): Promise<void>;
  read(path: string, block: number): Promise<string>;
}

type Step = readonly [string, ...string[]];

const names = ['a', 'b', 'c', 'd', 'e', 'f'];
const name = fc.constantFrom(...names);
const fileset = fc.constantFrom('g', 'h');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(fc.constant('create'), name),
  fc.tuple(fc.constant('write'), name, fc.constantFrom('0', '1'), fc.constantFrom('x', 'y', 'z')),
  fc.tuple(fc.constant('mmclone'), fc.constantFrom('snap', 'copy'), name, name),
  fc.tuple(fc.constant('mmclone'), fc.constantFrom('snap', 'split', 'redirect', 'show'), name),
  fc.tuple(fc.constant('mmclone'), fc.constant('show'), name, name, name),
  fc.tuple(fc.constant('mmchattr'), fc.constant('-P'), fc.constantFrom('data', 'nope'), name),
  fc.tuple(fc.constantFrom('unlink', 'grow'), name),
  fc.tuple(fc.constantFrom('rename', 'link'), name, name),
  fc.tuple(
    fc.constantFrom(
      'mmcrfileset',
      'mmlinkfileset',
      'mmunlinkfileset',
      'mmdelfileset',
      'mmlsfileset',
    ),
    fileset,
  ),
);
/** Two volumes at least, and as much as happens to them. */
const story = (maxLength: number): fc.Arbitrary<readonly Step[]> =>
  fc
    .array(step, { minLength: 10, maxLength, size: 'max' })
    .map((steps) => [['create', 'a'], ['write', 'a', '0', 'x'], ['create', 'b'], ...steps]);
const personality = fc.record({
  release: fc.constantFrom('4.1', '5.0', '5.2', '6.0'),
  redirectParent: fc.boolean(),
  removeParent: fc.constantFrom('EROFS', 'EPERM', 'EBUSY'),
  maxDepth: fc.constantFrom(2, 1000),
  missingFileset: fc.constantFrom(2, 22),
});

let simulator: TestSimulator;
let count = 0;

beforeAll(async () => {
  simulator = await testSimulator();
});
afterAll(async () => {
  const status = await simulateStatus(simulator);
  await simulator.down();
  expect(status).toMatchObject({ state: 'up', damaged: [] });
});

async function inProcess(settings: object): Promise<Face> {
  const gpfs = simulateGpfs({ personality: settings });
  const root = join(gpfs.filesetPath, 'root');
  await gpfs.files.makeDirectory(root, 0o755);
  return {
    root,
    mount: gpfs.mountPoint,
    run: gpfs.run,
    files: gpfs.files,
    write: async (path, block, letter) => {
      await Promise.resolve();
      gpfs.write(path, block, letter);
    },
    read: async (path, block) => {
      await Promise.resolve();
      return gpfs.readBlock(path, block) ?? '\0';
    },
  };
}

async function onDisk(settings: object, run: Run): Promise<Face> {
  count += 1;
  const root = join(simulator.filesetPath, `run${count}`);
  await mkdir(root);
  await writeFile(simulatorLayoutOf(simulator.dir).personality, JSON.stringify(settings));
  return {
    root,
    mount: simulator.mount,
    run,
    files: simulatedFiles(hostFiles(), simulator),
    write: async (path, block, letter) => {
      await using file = await open(path, 'r+');
      await file.write(letter, block * 4096);
    },
    read: async (path, block) => {
      await using file = await open(path, 'r');
      const { buffer, bytesRead } = await file.read(Buffer.alloc(1), 0, 1, block * 4096);
      return bytesRead === 0 ? '\0' : buffer.toString();
    },
  };
}

/** The executables' state machine without their processes, so that many runs are tried. */
const withoutProcesses: Run = async (argv) => {
  const outcome = await lockOf(simulatorLayoutOf(simulator.dir)).holdSoon(() => {
    const ground = realGround(simulator.dir);
    ground.recover();
    return runCommand(ground, argv[0], argv.slice(1));
  });
  if (outcome?.exitCode !== 0) {
    const { exitCode, stdout, stderr } = outcome ?? { exitCode: 127, stdout: '', stderr: '' };
    throw new CommandFailed({ argv, exitCode, stdout, stderr });
  }
  return outcome.stdout;
};

/** What is no command but a call of Files, or of somebody who holds the data. */
const calls: Readonly<Record<string, (face: Face, words: readonly string[]) => Promise<unknown>>> =
  {
    create: ({ files }, [path = '']) => files.createSparse(path, 16384n, 0o660).then(() => 'made'),
    unlink: ({ files }, [path = '']) => files.unlink(path),
    grow: ({ files }, [path = '']) => files.grow(path, 65536n).then(({ size }) => size),
    rename: ({ files }, [from = '', to = '']) => files.rename(from, to),
    link: ({ files }, [from = '', to = '']) => files.link(from, to),
  };

async function act(face: Face, [verb, ...words]: Step): Promise<unknown> {
  const paths = words.map((word) => join(face.root, word));
  if (verb === 'write') return face.write(paths[0] ?? '', Number(words[1]), words[2] ?? '');
  const call = calls[verb];
  if (call) return call(face, paths);
  if (verb.endsWith('fileset')) return face.run([verb, 'fs1', ...words], 'write');
  const known = verb === 'mmclone' ? 1 : 2;
  return face.run([verb, ...words.slice(0, known), ...paths.slice(known)], 'write');
}

async function outcomeOf(face: Face, todo: Step): Promise<unknown> {
  try {
    return { done: await act(face, todo) };
  } catch (error) {
    if (!(error instanceof CommandFailed)) return { errno: errnoOf(error) ?? String(error) };
    return { exitCode: error.exitCode, stdout: error.stdout, stderr: error.stderr };
  }
}

/** Outcomes without what must differ: inode numbers in the order they come up, and places. */
function normalized(face: Face) {
  const inodes: string[] = [];
  return (outcome: unknown): string =>
    JSON.stringify(outcome, (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    )
      .replaceAll(face.root, 'ROOT')
      .replaceAll(face.mount, 'MOUNT')
      .replace(/ {2,}(?=\\n)/g, '')
      .replace(/(\s|inode )(\d{3,})(?= {2}ROOT|\.\\n)/g, (_, before: string, inode: string) => {
        if (!inodes.includes(inode)) inodes.push(inode);
        return `${before}#${inodes.indexOf(inode)}`;
      })
      .replace(/ +/g, ' ');
}

async function everything(face: Face): Promise<unknown> {
  const seen: unknown[] = [];
  for (const entry of await face.files.list(face.root)) {
    const path = join(face.root, entry);
    const { size, mode, links } = await face.files.stat(path);
    const blocks = [await face.read(path, 0), await face.read(path, 1)];
    seen.push({ entry, size, mode, links, blocks });
  }
  return seen;
}

async function same(settings: object, steps: readonly Step[], run: Run): Promise<void> {
  const faces = [await inProcess(settings), await onDisk(settings, run)] as const;
  try {
    await walk(faces, [...steps, ['mmclone', 'show', ...names]]);
  } finally {
    await rm(faces[1].root, { recursive: true });
    for (const each of ['g', 'h']) {
      await outcomeOf(faces[1], ['mmunlinkfileset', each]);
      await outcomeOf(faces[1], ['mmdelfileset', each]);
    }
  }
}

async function walk(faces: readonly [Face, Face], steps: readonly Step[]): Promise<void> {
  const [inMemory, onXfs] = faces;
  const tellers = [normalized(inMemory), normalized(onXfs)] as const;
  for (const todo of steps) {
    const expected = tellers[0](await outcomeOf(inMemory, todo));
    // A write to a parent is what the kernel underneath cannot refuse: the simulator calls it damage.
    if (todo[0] !== 'write' || !expected.includes('EROFS')) {
      const got = tellers[1](await outcomeOf(onXfs, todo));
      expect(`${todo.join(' ')}: ${got}`).toBe(`${todo.join(' ')}: ${expected}`);
    }
    expect(await everything(onXfs), todo.join(' ')).toEqual(await everything(inMemory));
  }
}

test(
  'the state machine over memory and over XFS answers alike',
  () =>
    fc.assert(
      fc.asyncProperty(personality, story(40), (settings, steps) =>
        same(settings, steps, withoutProcesses),
      ),
      { numRuns: 60 },
    ),
  180_000,
);

test(
  'the executables answer as the in-process face does',
  () =>
    fc.assert(
      fc.asyncProperty(personality, story(20), (settings, steps) =>
        same(settings, steps, simulator.run),
      ),
      { numRuns: 4 },
    ),
  180_000,
);
