import { openSync, closeSync, constants, readdirSync } from 'node:fs';
import { utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hostRun } from '../../../../src/run/host-run.ts';
import { takeLifeline } from '../../../../src/run/lifeline/lifeline.ts';
import { readProcess, signalProcess, writersOf } from '../../../../src/run/lifeline/processes.ts';
import { nodeDirectory, orphan, predecessor } from '../../../support/disk/successor.ts';

const run = hostRun({ mmDirectory: '/nonexistent' });

test('each lifeline sees those before it and after it, and one that was released is gone', async () => {
  await using node = await nodeDirectory();
  const [a, b, c] = [await take(node), await take(node), await take(node)];
  const seen = await b.others();
  expect(seen.older.map(({ pid }) => pid)).toEqual([process.pid]);
  expect(seen.newer).toHaveLength(1);
  a.release();
  expect((await c.others()).older).toHaveLength(1);
  expect(readdirSync(node.directory)).toHaveLength(2);
  b.release();
  expect(await c.others()).toEqual({ older: [], newer: [] });
  c.release();
});

const take = ({ directory }: { readonly directory: string }) => takeLifeline(run, directory);

test('processes that start at once have numbers of their own', async () => {
  await using node = await nodeDirectory();
  const both = await Promise.all([predecessor(node.directory), predecessor(node.directory)]);
  const held = await takeLifeline(run, join(node.directory, 'processes'));
  const { older } = await held.others();
  expect(older.map(({ pid }) => pid).sort()).toEqual(both.map(({ child }) => child.pid).sort());
  held.release();
  for (const { child, ended } of both) {
    child.kill('SIGKILL');
    await ended;
  }
});

test('a draft that a process left is removed, and other files stay', async () => {
  await using node = await nodeDirectory();
  const held = await take(node);
  await writeFile(join(node.directory, 'new-1'), '');
  await writeFile(join(node.directory, 'note'), '');
  await utimes(join(node.directory, 'new-1'), 0, 0);
  await held.others();
  // Its age is that of its inode, so a draft that was just made stays.
  expect(readdirSync(node.directory)).toContain('new-1');
  expect(readdirSync(node.directory)).toContain('note');
  held.release();
});

test('those that have a file open for writing are found, and readers are not', async () => {
  await using node = await nodeDirectory();
  const { command, ended } = await orphan(node.directory, ['sleep', '1000']);
  const [name = ''] = readdirSync(join(node.directory, 'processes'));
  const path = join(node.directory, 'processes', name);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  expect(await writersOf(path)).toMatchObject([{ pid: command.pid, name: 'sleep' }]);
  expect(await writersOf(join(node.directory, 'none'))).toEqual([]);
  closeSync(reader);
  await signalProcess({ ...command, started: '1' }, 'SIGKILL');
  expect(await readProcess(command.pid)).toMatchObject({ name: 'sleep' });
  await signalProcess(command, 'SIGKILL');
  await ended;
  expect(await writersOf(path)).toEqual([]);
  // It has ended: no error.
  await signalProcess(command, 'SIGKILL');
});

test('a name with brackets and spaces hides nothing of what /proc says of a process', async () => {
  await using node = await nodeDirectory();
  const naming =
    'import ctypes,time\nctypes.CDLL(None).prctl(15,b"a) Z (b",0,0,0)\ntime.sleep(1000)';
  const { command, ended } = await orphan(node.directory, ['python3', '-c', naming]);
  await expect.poll(async () => (await readProcess(command.pid))?.name).toBe('a) Z (b');
  expect(await readProcess(command.pid)).toMatchObject({ pid: command.pid, state: 'S' });
  await signalProcess(command, 'SIGKILL');
  await ended;
  expect(await readProcess('self')).toMatchObject({ pid: process.pid });
});
