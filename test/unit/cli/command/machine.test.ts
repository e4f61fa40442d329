import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readMachineIds } from '../../../../src/cli/command/machine.ts';
import { simulatorLayoutOf } from '../../../../src/simulator/disk/state/layout.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'machine-'));
  await writeFile(join(folder, 'boot-id'), 'b-1\n');
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

const read = (mmDirectory: string, nodeId = 'n1') =>
  readMachineIds({
    nodeId,
    mmDirectory,
    machineIdPath: join(folder, 'machine-id'),
    bootIdPath: join(folder, 'boot-id'),
  });

/** The executables of a simulator, as far as its marker says. */
async function simulatedBin(): Promise<string> {
  const { marker, bin } = simulatorLayoutOf(folder);
  await writeFile(marker, JSON.stringify({ simulator: 'gpfs-csi', bin }));
  return bin;
}

describe('the ids of the machine', () => {
  test('are what the files hold, also over a simulator', async () => {
    await writeFile(join(folder, 'machine-id'), 'm-1\n');
    const ids = { machineId: 'm-1', bootId: 'b-1' };
    expect(await read('/usr/lpp/mmfs/bin')).toEqual(ids);
    expect(await read(await simulatedBin())).toEqual(ids);
  });

  test.each([
    [undefined, /cannot be read from \/.*\/machine-id: make one with systemd-machine-id-setup/],
    ['', /holds no machine id, .*: make one with systemd-machine-id-setup/],
    ['uninitialized!', /holds no machine id, /],
  ])(
    'are needed on a real GPFS: %j is refused, and the error says what to do',
    async (text, error) => {
      if (text !== undefined) await writeFile(join(folder, 'machine-id'), text);
      await expect(read('/usr/lpp/mmfs/bin')).rejects.toThrow(error);
    },
  );

  test.each([undefined, ''])(
    'come from the name of the node over a simulator with %j',
    async (text) => {
      if (text !== undefined) await writeFile(join(folder, 'machine-id'), text);
      const bin = await simulatedBin();
      const { machineId } = await read(bin, 'n1');
      expect(machineId).toMatch(/^[0-9a-f]{32}$/);
      expect(await read(bin, 'n1')).toEqual({ machineId, bootId: 'b-1' });
      expect((await read(bin, 'n2')).machineId).not.toBe(machineId);
    },
  );

  test('the boot id is needed over a simulator too', async () => {
    await rm(join(folder, 'boot-id'));
    await expect(read(await simulatedBin())).rejects.toThrow(
      /the boot id of this node cannot be read from .*: mount \/proc/,
    );
  });
});
