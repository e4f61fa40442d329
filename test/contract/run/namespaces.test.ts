import { chmod, mkdtemp, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { hostRun } from '../../../src/run/host-run.ts';

test('a command of GPFS can run in the namespaces of another process', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'gpfs-csi-run-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const program = join(directory, 'mmwhere');
  await writeFile(program, '#!/bin/sh\nreadlink /proc/self/ns/mnt; echo "$@"\n');
  await chmod(program, 0o755);
  const mmRunner = { kind: 'nsenter', procPath: '/proc/self' } as const;
  const output = await hostRun({ mmDirectory: directory, mmRunner })(['mmwhere', '-Y'], 'read');
  expect(output).toBe(`${await readlink('/proc/self/ns/mnt')}\n-Y\n`);
});
