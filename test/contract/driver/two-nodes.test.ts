import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { gpfsCommands } from '../../../src/gpfs/commands.ts';
import { hostTrials } from '../../../src/linux/trials.ts';
import { silentLog } from '../../../src/observe/log.ts';
import { randomNonce, systemClock } from '../../../src/run/clock.ts';
import { hostRun } from '../../../src/run/host-run.ts';
import { hostFiles, hostMounts } from '../../../src/run/host-files.ts';
import { probeOnce, type StartingProbe } from '../../../src/service/probe/probe.ts';
import { probeTwoNodes } from '../../../src/service/probe/pair/pair.ts';
import { simulatedFiles } from '../../../src/simulator/disk/files.ts';
import { simulatedTrials } from '../../../src/simulator/disk/trials.ts';
import { simulateStatus } from '../../../src/simulator/disk/lifecycle/status.ts';
import { openExistingRoot, type RootStore } from '../../../src/store/root.ts';
import { realSite } from '../../support/disk/real-site.ts';

// Two nodes on one kernel, with a real loop device between them and the file.

const site = await realSite();
const simulator = { dir: site.simulator };
const run = hostRun({ mmDirectory: site.bin });
const { clone, fs } = gpfsCommands(run);
const files = simulatedFiles(hostFiles(), simulator);
const trials = simulatedTrials(hostTrials(run, systemClock), simulator);

const hostOf = (node: string): StartingProbe => ({
  clone,
  fs,
  trials,
  clock: systemClock,
  nonce: randomNonce,
  log: silentLog,
  self: { node, instance: `${node}-1`, version: 'test' },
});

const open = (): Promise<RootStore> =>
  openExistingRoot(site.root, undefined, {
    files,
    mounts: hostMounts(),
    clock: systemClock,
    nonce: randomNonce,
    mountType: 'xfs',
  });

beforeAll(async () => {
  const server = await site.serve('a1');
  await server.end();
  const store = await open();
  const self = { machineId: 'm', bootId: 'b', instance: 'i', version: 'test', maxVolumes: 1 };
  for (const node of ['a1', 'b1']) await store.nodes.register({ ...self, node });
});

describe('two nodes, one writing through a loop device', () => {
  test.each([
    [{ redirectOpen: true }, true],
    [{ redirectOpen: false }, false],
  ])('on a GPFS with %j keep the answer %s, and leave nothing', async (personality, answer) => {
    await site.set(personality);
    const [a, b] = [await open(), await open()];
    await rm(a.layout.abilities, { force: true });
    await probeOnce(hostOf('a1'), a);
    const told = await Promise.all([
      probeTwoNodes(hostOf('a1'), a),
      probeTwoNodes(hostOf('b1'), b),
    ]);
    expect(told).toEqual(['settled', 'settled']);
    const kept = JSON.parse(
      await readFile(join(site.root, '.gpfs-csi', 'abilities.json'), 'utf8'),
    ) as {
      abilities: object;
    };
    expect(kept.abilities).toMatchObject({ redirectAttached: answer });
    expect(await readdir(a.layout.probe)).toEqual([]);
    expect(site.inUse()).toEqual([]);
    expect((await simulateStatus(simulator)).damaged).toEqual([]);
    await site.set({ redirectOpen: true });
  });
});
