import { chmod, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { whyNotOnThisNode } from '../../../src/cli/server/installed.ts';
import { gpfsCommands } from '../../../src/gpfs/commands.ts';
import { hostRun } from '../../../src/run/host-run.ts';
import type { MmRunner } from '../../../src/run/programs.ts';
import { cli } from '../../support/disk/real-server.ts';
import { eventually, scratch } from '../../support/server/serve.ts';

const direct: MmRunner = { kind: 'direct' };
const ofHost: MmRunner = { kind: 'nsenter', procPath: '/proc/self' };

const whyNot = (mmDirectory: string, mmRunner: MmRunner): Promise<string | undefined> =>
  whyNotOnThisNode(gpfsCommands(hostRun({ mmDirectory, mmRunner })), mmDirectory);

/** A directory whose mmgetstate says this, on standard error, and fails. */
async function failing(words: string): Promise<string> {
  const directory = await scratch();
  const path = join(directory, 'mmgetstate');
  await writeFile(path, `#!/bin/sh\necho '${words}' >&2\nexit 1\n`);
  await chmod(path, 0o755);
  return directory;
}

test.each([
  ['directly', direct],
  ['in the namespaces of the host', ofHost],
])(
  'a node without mm commands is distinguished from one whose GPFS is down, %s',
  async (_, runner) => {
    const nowhere = join(await scratch(), 'bin');
    expect(await whyNot(nowhere, runner)).toBe(
      `GPFS is not installed on this node: there is no ${nowhere}/mmgetstate; install it, set --mm-dir, or keep the driver off this node`,
    );
    const down = await failing('mmgetstate: GPFS is down on this node.');
    expect(await whyNot(down, runner)).toBeUndefined();
    const puzzled = await failing('mmgetstate: something new.');
    expect(await whyNot(puzzled, runner)).toBeUndefined();
  },
);

test('a node outside of any cluster, and a pod that cannot enter the host, say so', async () => {
  const alone = await failing('mmgetstate: This node does not belong to a GPFS cluster.');
  expect(await whyNot(alone, direct)).toMatch(/not a member of a GPFS cluster; add it/);
  const gone: MmRunner = { kind: 'nsenter', procPath: '/proc/0' };
  expect(await whyNot(alone, gone)).toMatch(
    /namespaces of the host cannot be entered; set hostPID/,
  );
});

test('a server offers itself where GPFS is down, and not where there is none', async () => {
  const folder = await scratch();
  // The machine may be a container, which has none.
  const machine = join(await scratch(), 'machine-id');
  await writeFile(machine, `${'a'.repeat(32)}\n`);
  const state = await scratch();
  const serve = (name: string, mmDirectory: string) => {
    const flags = {
      'state-dir': join(state, name),
      root: '/gpfs/a',
      'mm-dir': mmDirectory,
      'registration-dir': folder,
      'machine-id-path': machine,
    };
    const argv = Object.entries({ ...flags, 'driver-name': name, 'node-id': 'a1' });
    const server = cli(['serve', ...argv.map(([flag, value]) => `--${flag}=${value}`)], {
      CSI_ENDPOINT: `unix://${folder}/${name}.sock`,
    });
    onTestFinished(async () => {
      server.child.kill('SIGTERM');
      await server.status;
    });
    return server;
  };
  const without = serve('without.csi', join(folder, 'nothing'));
  const withIt = serve('with.csi', await failing('GPFS is down on this node'));
  const said = ({ out, err }: ReturnType<typeof serve>): string => out() + err();
  await eventually(() => {
    expect(said(without)).toContain('GPFS is not installed on this node: there is no ');
    expect(said(withIt)).toContain('offered to the kubelet for registration');
  });
  expect((await readdir(folder)).sort()).toEqual([
    'with.csi-reg.sock',
    'with.csi.sock',
    'without.csi.sock',
  ]);
  withIt.child.kill('SIGTERM');
  expect(await withIt.status).toBe(0);
  expect(await readdir(folder)).toEqual(['without.csi.sock']);
});
