import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Files } from '../../../src/run/files.ts';
import { hostFiles } from '../../../src/run/host-files.ts';
import type { Run } from '../../../src/run/run.ts';
import { simulateGpfs } from '../../../src/simulator/memory/gpfs.ts';
import { blockBytes } from '../../../src/simulator/memory/visible-files.ts';
import { simulatedFiles } from '../../../src/simulator/disk/files.ts';
import { simulateStatus } from '../../../src/simulator/disk/lifecycle/status.ts';
import { testSimulator, type TestSimulator } from '../../support/disk/simulator-host.ts';

// Both faces count the same blocks at the same files, whatever was done: 4 MiB each in memory, 4 KiB on XFS.

let simulator: TestSimulator;
let count = 0;

beforeAll(async () => {
  simulator = await testSimulator({ redirectParent: true });
});
afterAll(async () => {
  const status = await simulateStatus(simulator);
  await simulator.down();
  expect(status).toMatchObject({ state: 'up', damaged: [] });
});

interface Face {
  readonly root: string;
  readonly run: Run;
  readonly files: Files;
  /** Bytes of one block. */
  readonly block: bigint;
  write(path: string, block: number): Promise<void>;
}

async function inMemory(): Promise<Face> {
  const gpfs = simulateGpfs({ personality: { redirectParent: true } });
  const root = join(gpfs.filesetPath, 'root');
  await gpfs.files.makeDirectory(root, 0o755);
  return {
    root,
    run: gpfs.run,
    files: gpfs.files,
    block: blockBytes,
    write: async (path, block) => {
      await Promise.resolve();
      gpfs.write(path, block, 'x');
    },
  };
}

async function onXfs(): Promise<Face> {
  count += 1;
  const root = join(simulator.filesetPath, `run${count}`);
  await mkdir(root);
  const files = simulatedFiles(hostFiles(), simulator);
  return {
    root,
    run: simulator.run,
    files,
    block: 4096n,
    write: async (path, block) => {
      await using file = await open(path, 'r+');
      await file.write(Buffer.alloc(4096, 'x'), 0, 4096, block * 4096);
    },
  };
}

type Step = readonly [verb: string, first: string, second?: string | number];

/** Does it; false where GPFS refuses, as both faces must alike. A parent is never written to. */
async function act(face: Face, parents: Set<string>, step: Step): Promise<boolean> {
  const [verb, first, second = ''] = step;
  if (verb === 'write' && parents.has(first)) return false;
  const worked = await perform(face, step).then(
    () => true,
    () => false,
  );
  if (worked && verb === 'snap') parents.add(String(second));
  if (worked && verb === 'unlink') parents.delete(first);
  return worked;
}

async function perform(face: Face, [verb, first, second]: Step): Promise<unknown> {
  const path = join(face.root, first);
  if (verb === 'write') return face.write(path, Number(second));
  if (verb === 'unlink') return face.files.unlink(path);
  const others = second === undefined ? [] : [join(face.root, String(second))];
  return face.run(['mmclone', verb, path, ...others], 'write');
}

async function held(face: Face): Promise<Readonly<Record<string, bigint>>> {
  const names = await face.files.list(face.root);
  const counts = names.map((name) => face.files.held(join(face.root, name)));
  const bytes = await Promise.all(counts);
  return Object.fromEntries(names.map((name, n) => [name, (bytes[n] ?? 0n) / face.block]));
}

async function compare(steps: readonly Step[]): Promise<Readonly<Record<string, bigint>>> {
  const faces = [await inMemory(), await onXfs()] as const;
  const parents = [new Set<string>(), new Set<string>()] as const;
  try {
    for (const face of faces)
      await face.files.createSparse(join(face.root, 'a'), face.block * 64n, 0o660);
    for (const step of steps) {
      const expected = await act(faces[0], parents[0], step);
      expect(await act(faces[1], parents[1], step), step.join(' ')).toBe(expected);
      expect(await held(faces[1]), step.join(' ')).toEqual(await held(faces[0]));
    }
    return await held(faces[0]);
  } finally {
    await rm(faces[1].root, { recursive: true });
  }
}

describe('blocks that a file has of its own', () => {
  test('move to the parent at a snap, and come back with a redirect', async () => {
    const steps: readonly Step[] = [
      ['write', 'a', 0],
      ['write', 'a', 5],
      ['snap', 'a', 'p'],
      ['write', 'a', 5],
      ['write', 'a', 6],
      ['snap', 'a', 'q'],
      ['copy', 'q', 'b'],
      ['write', 'b', 6],
    ];
    expect(await compare(steps)).toEqual({ a: 0n, b: 1n, p: 2n, q: 2n });
    expect(await compare([...steps, ['redirect', 'a']])).toEqual({ a: 2n, b: 1n, p: 2n, q: 2n });
    expect(await compare([...steps, ['split', 'b']])).toEqual({ a: 0n, b: 3n, p: 2n, q: 2n });
    const alone: readonly Step[] = [...steps, ['split', 'b'], ['redirect', 'a'], ['unlink', 'q']];
    expect(await compare(alone)).toEqual({ a: 2n, b: 3n, p: 2n });
  });

  test('are none in a volume that was just snapshotted, also where space was reserved', async () => {
    const face = await onXfs();
    const [volume, parent] = [join(face.root, 'v'), join(face.root, 'p')];
    await face.files.createSparse(volume, 64n * 4096n, 0o660);
    await face.write(volume, 0);
    await face.run(
      ['fallocate', '--keep-size', '--offset', '32768', '--length', '65536', volume],
      'write',
    );
    expect(await held(face)).toEqual({ v: 17n });
    await face.run(['mmclone', 'snap', volume, parent], 'write');
    expect(await held(face)).toEqual({ p: 1n, v: 0n });
    await face.write(volume, 9);
    expect(await held(face)).toEqual({ p: 1n, v: 1n });
    await rm(face.root, { recursive: true });
  });

  const name = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 4, arbitrary: fc.tuple(fc.constant('write'), name, fc.nat(7)) },
    { weight: 3, arbitrary: fc.tuple(fc.constantFrom('snap', 'copy'), name, name) },
    { weight: 2, arbitrary: fc.tuple(fc.constantFrom('redirect', 'split'), name) },
    fc.tuple(fc.constant('unlink'), name),
  );

  test('are the same on both faces after anything', async () => {
    const story = fc.array(step, { minLength: 5, maxLength: 16, size: 'max' });
    await fc.assert(
      fc.asyncProperty(story, async (steps) => {
        await compare([['write', 'a', 0], ['write', 'a', 1], ['snap', 'a', 'b'], ...steps]);
      }),
      { numRuns: 15 },
    );
  }, 180_000);
});
