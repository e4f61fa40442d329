import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import {
  fromSnapshot,
  fromVolume,
  mib,
  newSnapshot,
  newVolume,
  remove,
  volumeRequest,
} from '../../support/disk/csi.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk, recordsOnDisk } from '../../support/disk/real-truth.ts';

const site = await realSite({ size: 400n * MiB });
const server = await site.serve();
const replicas = { parameters: { dataReplicas: '1' } };

afterEach(() => site.set({ full: false, quota: false, latencyMs: 0 }));

describe('31: a file system without room', () => {
  test.each(['full', 'quota'])(
    '%s before anything began: RESOURCE_EXHAUSTED and nothing is there',
    async (what) => {
      const id = await newVolume(server, 'v31');
      const snapshot = await newSnapshot(server, 's31', id);
      const before = filesOnDisk(site.root);
      await site.set({ [what]: true });
      const asks = [
        ['CreateVolume', volumeRequest('v31-new')],
        ['CreateVolume', volumeRequest('v31-clone', { from: fromVolume(id) })],
        ['CreateVolume', volumeRequest('v31-restore', { from: fromSnapshot(snapshot) })],
        ['CreateSnapshot', { name: 's31-new', source_volume_id: id }],
        ['ControllerExpandVolume', { volume_id: id, capacity_range: mib(128) }],
      ] as const;
      for (const [rpc, request] of asks)
        expect(await server.refused(rpc, request)).toMatch(/^RESOURCE_EXHAUSTED /);
      expect(filesOnDisk(site.root)).toEqual(before);
      if (what === 'full')
        expect((await server.ok('GetCapacity', {})).available_capacity).toBe('0');
      await site.set({ [what]: false });
      expect(site.problems()).toEqual([]);
      const clone = await newVolume(server, 'v31-clone', { from: fromVolume(id) });
      await remove(server, { volumes: [id, clone], snapshots: [snapshot] });
    },
  );

  test.each([
    ['create', 'CreateVolume'],
    ['clone', 'CreateVolume'],
    ['snapshot', 'CreateSnapshot'],
  ] as const)(
    'full while a %s runs: it is undone, and works once there is room',
    async (op, rpc) => {
      const source = await newVolume(server, 'v31-source');
      const request = {
        create: { ...volumeRequest('v31-run'), ...replicas },
        clone: volumeRequest('v31-run', { from: fromVolume(source) }),
        snapshot: { name: 'v31-run', source_volume_id: source },
      }[op];
      const before = filesOnDisk(site.root);
      await site.set({ latencyMs: 600 });
      const running = server.refused(rpc, request);
      while (!recordsOnDisk(site.root, 'volumes').some(({ claim }) => claim?.op === op))
        await sleep(5);
      await site.set({ full: true });
      expect(await running).toMatch(/^RESOURCE_EXHAUSTED /);
      await site.set({ full: false, latencyMs: 0 });
      expect(filesOnDisk(site.root).filter((path) => !before.includes(path))).toEqual([]);
      await server.ok(rpc, request);
      expect(site.problems()).toEqual([]);
      const made = source.replace('v31-source', 'v31-run');
      await remove(server, { volumes: [source, made], snapshots: [made] });
      expect(filesOnDisk(site.root)).toEqual([]);
    },
  );

  test('a disk that is really full: RESOURCE_EXHAUSTED, and it works once there is room', async () => {
    const id = await newVolume(server, 'v31-real');
    const filler = join(site.mount, 'filler');
    const chunk = Buffer.alloc(Number(8n * MiB), 'x');
    await writeFile(filler, '');
    const fill = async (): Promise<void> => {
      for (;;) await writeFile(filler, chunk, { flag: 'a' });
    };
    await expect(fill()).rejects.toThrow('ENOSPC');
    const small = async (): Promise<void> => {
      for (let n = 0; ; n += 1) await writeFile(`${filler}-${n}`, 'x'.repeat(4096));
    };
    await expect(small()).rejects.toThrow('ENOSPC');
    const code = (await server.call('CreateVolume', volumeRequest('v31-none'))).code;
    expect(code).toBe('RESOURCE_EXHAUSTED');
    await rm(filler);
    const none = await newVolume(server, 'v31-none');
    await remove(server, { volumes: [id, none] });
    expect(site.problems()).toEqual([]);
  });
});
