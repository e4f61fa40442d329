import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import { asNamed } from '../../../../support/memory/named.ts';
import { gpfsCommands } from '../../../../../src/gpfs/commands.ts';
import { qemuImg } from '../../../../../src/linux/qemu-img.ts';
import { adoptFile } from '../../../../../src/service/adopt/adopt.ts';
import { adoptDirectory } from '../../../../../src/service/adopt/adopt-directory.ts';
import { incomingOf } from '../../../../../src/service/images/import.ts';
import {
  clusterWithRoot,
  serverOn,
  snap,
  spec,
  testRoot,
} from '../../../../support/memory/driver.ts';

// The second one is not configured where the commands run.
const going = { onVolume: () => undefined, signal: new AbortController().signal };

test.each([testRoot, `${testRoot}-2`])(
  'what the driver keeps in root %s is neither adopted nor imported by move or share',
  async (root) => {
    const cluster = await clusterWithRoot();
    await cluster.files.makeDirectory(`${testRoot}-2`, 0o750);
    const owner = serverOn(cluster.server('b1'), 'b1', { roots: [root] });
    const { id } = await owner.volumes.create(spec('v'));
    await owner.snapshots.create(snap('s', { id }));
    const { host, roots } = serverOn(cluster);
    const [store] = await roots.all();
    if (!store) throw new Error('no root');
    const gpfs = gpfsCommands(cluster.run);
    const sectorBytes = () => Promise.resolve(4096 as const);
    const on = { host, store, gpfs, sectorBytes, userOf: () => Promise.resolve(undefined) };
    const importing = {
      store,
      gpfs,
      qemu: qemuImg(cluster.run),
      signal: new AbortController().signal,
      progress: () => undefined,
      opened: new AsyncDisposableStack(),
    };
    const refused = new RegExp(`lies in root ${root}, whose files the driver keeps itself`);
    const before = cluster.paths();
    const data = new RegExp(`^${root}/(?:volumes|snapshots)/[0-9a-f]{3}/[vs]\\.`);
    const kept = [...before.filter((path) => data.test(path)), `${root}/.gpfs-csi/root.json`];
    expect(kept).toHaveLength(3);
    for (const path of kept) {
      await expect(adoptFile(on, { file: asNamed(path), name: 'x', parent: null })).rejects.toThrow(
        refused,
      );
      await expect(adoptDirectory(on, asNamed(dirname(path)), going)).rejects.toThrow(refused);
      for (const how of ['move', 'share'] as const) {
        const ask = { name: 'x', format: 'raw', from: asNamed(path), how } as const;
        await expect(incomingOf(importing, ask)).rejects.toThrow(refused);
      }
    }
    expect(cluster.paths()).toEqual(before);
  },
);
