import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testSimulator, type TestSimulator } from '../../support/disk/simulator-host.ts';

// A GPFS whose redirect copies over what is written meanwhile must show that to real programs as well.

const block = 4096;

let simulator: TestSimulator;

beforeAll(async () => {
  simulator = await testSimulator({ redirectKeeps: false });
});
afterAll(() => simulator.down());

/** Three blocks: of the grandparent, of the parent, and what the file wrote itself over both. */
async function tree(name: string): Promise<string> {
  const { run, filesetPath } = simulator;
  const file = join(filesetPath, name);
  await writeFile(file, 'g'.repeat(3 * block));
  await run(['mmclone', 'snap', file, `${file}.grandparent`], 'write');
  await put(file, 1, 'p');
  await run(['mmclone', 'snap', file, `${file}.parent`], 'write');
  for (const at of [0, 1]) await put(file, at, 'own');
  return file;
}

async function put(file: string, at: number, text: string): Promise<void> {
  await using handle = await open(file, 'r+');
  await handle.write(Buffer.alloc(block, text), 0, block, at * block);
}

const shown = async (file: string): Promise<readonly string[]> => {
  const bytes = await readFile(file);
  return [0, 1, 2].map((at) => bytes.toString('latin1', at * block, at * block + 1));
};

test('a redirect of a file that is open for writing replaces what the file wrote by what its parent holds', async () => {
  const file = await tree('open');
  await using held = await open(file, 'r+');
  await simulator.run(['mmclone', 'redirect', file], 'write');
  expect((await held.stat()).size).toBe(3 * block);
  expect(await shown(file)).toEqual(['o', 'p', 'g']);
});

test('a split of such a file replaces it by what any clone parent above it holds', async () => {
  const file = await tree('split');
  await using held = await open(file, 'r+');
  await simulator.run(['mmclone', 'split', file], 'write');
  expect((await held.stat()).size).toBe(3 * block);
  expect(await shown(file)).toEqual(['g', 'p', 'g']);
});

test('a redirect of a closed file keeps what it wrote', async () => {
  const file = await tree('closed');
  await simulator.run(['mmclone', 'redirect', file], 'write');
  expect(await shown(file)).toEqual(['o', 'o', 'g']);
});
