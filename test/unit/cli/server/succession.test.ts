import { closeSync } from 'node:fs';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { readProcess } from '../../../../src/run/lifeline/processes.ts';
import {
  nodeDirectory,
  orphan,
  predecessor,
  program,
  successor,
} from '../../../support/disk/successor.ts';

/** Long enough that a busy machine answers a signal before the next one comes. */
const patient = { killMs: 8_000, firstMs: 9_000 };

test('a command that ends by itself is waited for, and gets no signal', async () => {
  await using node = await nodeDirectory();
  const go = join(node.directory, 'go');
  await program(node.directory, 'waits', `while [ ! -e ${go} ]; do sleep 0.05; done`);
  const { ended } = await orphan(node.directory, ['waits']);
  const next = await successor(node.directory, { ...patient, askMs: 8_000 });
  const alone = next.alone();
  await writeFile(go, '');
  await alone;
  expect(await ended).toBe('');
  expect(next.signals).toEqual([]);
  closeSync(next.lifeline);
});

test('a command that does not end gets SIGTERM', async () => {
  await using node = await nodeDirectory();
  const { ended } = await orphan(node.directory, ['sleep', '1000']);
  const next = await successor(node.directory, patient);
  await next.alone();
  expect(String(await ended)).toContain('it was ended by SIGTERM');
  expect(next.signals).toEqual(['SIGTERM sleep']);
  closeSync(next.lifeline);
});

test('a command that takes no notice of SIGTERM gets SIGKILL', async () => {
  await using node = await nodeDirectory();
  await program(node.directory, 'deaf', `trap '' TERM\nwhile :; do sleep 0.05; done`);
  const { ended } = await orphan(node.directory, ['deaf']);
  const next = await successor(node.directory);
  await next.alone();
  expect(String(await ended)).toContain('it was ended by SIGKILL');
  closeSync(next.lifeline);
});

test('a command that is stopped is ended all the same', async () => {
  await using node = await nodeDirectory();
  const { command, ended } = await orphan(node.directory, ['sleep', '1000']);
  process.kill(command.pid, 'SIGSTOP');
  const next = await successor(node.directory);
  await next.alone();
  expect(String(await ended)).toMatch(/SIG(?:TERM|KILL)/);
  closeSync(next.lifeline);
});

test('a repair of a file system is not interrupted: the node stays closed until it has ended', async () => {
  await using node = await nodeDirectory();
  await program(node.directory, 'any', '');
  await copyFile('/usr/bin/sleep', join(node.directory, 'bin', 'e2fsck'));
  const { command, ended } = await orphan(node.directory, ['e2fsck', '1000']);
  const next = await successor(node.directory, { firstMs: 700 });
  await expect(next.alone()).rejects.toMatchObject({
    fault: { kind: 'unavailable' },
    message: `e2fsck (process ${command.pid}), which an earlier driver on this node started, must not be interrupted; wait until it ends`,
  });
  expect(next.signals).toEqual([]);
  process.kill(command.pid, 'SIGKILL');
  await ended;
  await next.alone();
  closeSync(next.lifeline);
});

test('a command in state D that waits for a child by vfork is ended', async () => {
  await using node = await nodeDirectory();
  const python = [
    'import ctypes, os, signal',
    'if ctypes.PyDLL(None).vfork() == 0: os.kill(os.getpid(), signal.SIGSTOP)',
  ];
  const { command, ended } = await orphan(node.directory, ['python3', '-c', python.join('\n')]);
  while ((await readProcess(command.pid))?.state !== 'D') await sleep(5);
  const next = await successor(node.directory);
  await next.alone();
  expect(String(await ended)).toMatch(/SIG(?:TERM|KILL)/);
  closeSync(next.lifeline);
});

test.each([
  ['SIGTERM', 'ends when it is asked', [], patient],
  ['SIGKILL', 'takes no notice', ['stays'], { killMs: 1_500 }],
] as const)('an earlier driver process gets %s where it %s', async (last, _, how, limits) => {
  await using node = await nodeDirectory();
  const earlier = await predecessor(node.directory, ...how);
  const next = await successor(node.directory, limits);
  await next.alone();
  expect(await earlier.ended).toBe(last);
  expect(next.signals.at(-1)).toMatch(new RegExp(`^${last} `));
  closeSync(next.lifeline);
});

test('an earlier driver process that is stopped is ended at once', async () => {
  await using node = await nodeDirectory();
  const earlier = await predecessor(node.directory);
  earlier.child.kill('SIGSTOP');
  const pid = earlier.child.pid ?? 0;
  while ((await readProcess(pid))?.state !== 'T') await sleep(5);
  const next = await successor(node.directory);
  await next.endStopped();
  expect(await earlier.ended).toBe('SIGKILL');
  await next.alone();
  closeSync(next.lifeline);
});

test('the older one of two processes registers no more, and its sentence names the newer', async () => {
  await using node = await nodeDirectory();
  const first = await successor(node.directory);
  const second = await successor(node.directory);
  await expect(first.alone()).rejects.toMatchObject({
    message: expect.stringMatching(
      `^a newer driver process \\(${process.pid}\\) runs on this node`,
    ) as string,
  });
  closeSync(first.lifeline);
  await second.alone();
  closeSync(second.lifeline);
});
