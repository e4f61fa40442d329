import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { mountAs } from '../../support/node/requests.ts';
import { run, self, type Ground } from '../../support/node/ground.ts';
import { onGround, stagedOn } from '../../support/node/suite.ts';

let ground: Ground;

onGround((fresh) => {
  ground = fresh;
});

const staged = (capability = mountAs('ext4')) => stagedOn(ground, capability, 64n * MiB);

describe('a file of the driver that went bad', () => {
  test('a note of a freeze holds no volume but its own', async () => {
    const { done } = await staged();
    const notes = join(ground.directory, 'state', 'frozen');
    await mkdir(notes, { recursive: true });
    await writeFile(join(notes, 'bad.json'), 'torn');
    await done();
    await run(['rm', join(notes, 'bad.json')], 'write');
  });

  test('a record that cannot be read keeps no other volume from being put in order, or trimmed', async () => {
    const { volume, ask } = await staged();
    for (const loop of await ground.loops()) {
      await run(['umount', ask.stagingPath], 'write');
      await run(['losetup', '-d', loop], 'write');
    }
    const bad = join(ground.directory, 'state', 'volumes', 'bad.json');
    await writeFile(bad, '{"format": 9}');
    const rebooted = ground.restarted({
      self: { ...self, bootId: 'boot-2' },
      trimIntervalMs: 1,
      limits: { trimLoad: Number.POSITIVE_INFINITY },
    });
    const findings = await rebooted.reconcile();
    expect(findings.filter((sentence) => sentence.startsWith(`record ${bad} `))).toHaveLength(1);
    expect(findings.filter((sentence) => sentence.includes(volume.id))).toHaveLength(1);
    expect(await ground.marks()).toEqual([]);
    await rebooted.stage(ask);
    expect(await rebooted.trim()).toBe(volume.id);
    await rebooted.unstage(volume.id, ask.stagingPath);
    await run(['rm', bad], 'write');
  });
});

describe('at start, while the kubelet is at work already', () => {
  test('a volume that is staged after the records were listed keeps its record and its mark', async () => {
    const first = await staged();
    const second = await staged();
    for (const point of await ground.mountPoints()) await run(['umount', point], 'write');
    for (const loop of await ground.loops()) await run(['losetup', '-d', loop], 'write');
    let isStaged = false;
    const roots = {
      byId: async (id: string) => {
        const { local } = id === first.volume.id ? first.volume : second.volume;
        // Reconcile is at the first volume by now, and has its list of records.
        if (!isStaged) {
          isStaged = true;
          await rebooted.stage(second.ask);
        }
        return { store: ground.store, local };
      },
    };
    const rebooted = ground.restarted({ self: { ...self, bootId: 'boot-2' }, roots });
    const findings = await rebooted.reconcile();
    expect(findings.filter((sentence) => sentence.includes(second.volume.id))).toEqual([]);
    expect(await ground.marks()).toHaveLength(1);
    expect(await rebooted.stats(second.volume.id, second.ask.stagingPath)).toHaveLength(2);
    await rebooted.unstage(second.volume.id, second.ask.stagingPath);
  });
});
