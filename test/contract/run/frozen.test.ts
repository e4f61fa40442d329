import { execFileSync } from 'node:child_process';
import { closeSync } from 'node:fs';
import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { readProcess } from '../../../src/run/lifeline/processes.ts';
import { nodeDirectory, orphan, successor } from '../../support/disk/successor.ts';

/** An ext4 of its own that takes no writes, until it is thawed; then it is unmounted. */
async function frozen(directory: string) {
  const [image, point] = [join(directory, 'image'), join(directory, 'point')];
  await mkdir(point);
  await writeFile(image, '');
  await truncate(image, 16 * 2 ** 20);
  execFileSync('mkfs.ext4', ['-q', image]);
  execFileSync('mount', ['-o', 'loop', image, point]);
  execFileSync('fsfreeze', ['--freeze', point]);
  let is = true;
  const thaw = () => {
    if (is) execFileSync('fsfreeze', ['--unfreeze', point]);
    is = false;
  };
  return {
    point,
    thaw,
    [Symbol.dispose]: () => {
      thaw();
      execFileSync('umount', [point]);
    },
  };
}

test('a command that no signal ends keeps the node closed, until its file system answers', async () => {
  await using node = await nodeDirectory();
  using disk = await frozen(node.directory);
  const { command, ended } = await orphan(node.directory, ['touch', join(disk.point, 'new')]);
  while ((await readProcess(command.pid))?.state !== 'D') await sleep(5);
  const next = await successor(node.directory, { firstMs: 2_000 });
  const waits = {
    fault: { kind: 'unavailable' },
    message: `touch (process ${command.pid}) of an earlier driver on this node waits in the kernel and cannot be ended, as when GPFS hangs; make GPFS answer here (mmgetstate, mmdiag --waiters), or reboot the node`,
  };
  await expect(next.alone()).rejects.toMatchObject(waits);
  expect(next.signals).toEqual(expect.arrayContaining(['SIGKILL touch']));
  expect(await readProcess(command.pid)).toMatchObject({ state: 'D' });
  await expect(next.alone()).rejects.toMatchObject(waits);
  disk.thaw();
  await ended;
  await next.alone();
  closeSync(next.lifeline);
});
