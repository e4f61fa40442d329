import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { newSnapshot, newVolume, remove, volumeRequest } from '../../support/disk/csi.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { cli } from '../../support/disk/real-server.ts';
import { sparesMade } from '../../support/disk/spares.ts';

const site = await realSite();
const server = await site.serve();
const state = join(site.root, '.gpfs-csi');

/** Remounts as soon as the kernel lets it: a file that is open for writing, as of a heartbeat, refuses it. */
const remount = (how: 'ro' | 'rw') =>
  expect
    .poll(() => spawnSync('mount', ['-o', `remount,${how}`, site.mount]).status, {
      timeout: 30_000,
    })
    .toBe(0);

afterEach(() => remount('rw'));

const doctor = async (): Promise<string> => {
  const { root, 'mm-dir': bin, 'mm-runner': runner } = site.flags('a1');
  const places = ['--root', root ?? '', '--mm-dir', bin ?? '', '--mm-runner', runner ?? ''];
  const running = cli(['doctor', '--no-probe', ...places]);
  await running.status;
  return running.out();
};

test('a file system mounted read-only: Probe, doctor and each write say so, and nothing is "internal"', async () => {
  const id = await newVolume(server, 'v');
  const snapshot_id = await newSnapshot(server, 's', id);
  await sparesMade(site.root);
  await remount('ro');
  expect((await server.ok('Probe', {})).ready).toEqual({ value: false });
  const asks = [
    ['CreateVolume', volumeRequest('w')],
    ['CreateVolume', volumeRequest('clone', { from: { snapshot: { snapshot_id } } })],
    ['CreateSnapshot', { name: 't', source_volume_id: id }],
    ['DeleteSnapshot', { snapshot_id }],
    ['DeleteVolume', { volume_id: id }],
  ] as const;
  for (const [rpc, request] of asks)
    expect(await server.refused(rpc, request)).toBe(
      `UNAVAILABLE root ${site.root} cannot be written to: ${site.mount} is mounted read-only; mount it for writing (mmumount, then mmmount -o rw)`,
    );
  expect(await doctor()).toMatch(/FAILED +mount +.* is mounted read-only/i);
  await remount('rw');
  expect((await server.ok('Probe', {})).ready).toEqual({ value: true });
  await remove(server, { volumes: [id], snapshots: [snapshot_id] });
});

/** Makes the driver's own directory read-only below its mount, as a file system does after an error. */
function refuseWrites(): Disposable {
  for (const how of ['--bind', 'remount,ro,bind'])
    spawnSync('mount', how === '--bind' ? [how, state, state] : ['-o', how, state]);
  return {
    [Symbol.dispose]: () => {
      expect(spawnSync('umount', [state]).status).toBe(0);
    },
  };
}

test('a file system that is read-only below its mount: the first write finds it, then Probe says so', async () => {
  const id = await newVolume(server, 'below');
  const sentence = `UNAVAILABLE root ${site.root} cannot be written to although it is mounted for writing: the file system says that it is read-only (EROFS); see mmhealth node show, mmlsdisk and the log of GPFS on this node`;
  {
    using _ = refuseWrites();
    expect(await server.refused('CreateVolume', volumeRequest('w'))).toBe(sentence);
    for (let times = 0; times < 2; times += 1)
      expect((await server.ok('Probe', {})).ready).toEqual({ value: false });
    expect(await server.refused('DeleteVolume', { volume_id: id })).toBe(sentence);
  }
  expect((await server.ok('Probe', {})).ready).toEqual({ value: true });
  await remove(server, { volumes: [id] });
});

test.each(['tmp', 'nodes', join('queue', 'ready'), join('records', 'snapshots')])(
  'the directory %s that was removed is made again',
  async (name) => {
    const kept = join(state, `${name}-aside`);
    await rename(join(state, name), kept);
    const id = await newVolume(server, `v-${name.replace('/', '-')}`);
    expect((await server.ok('Probe', {})).ready).toEqual({ value: true });
    expect(existsSync(join(state, name))).toBe(true);
    if (name === 'nodes') {
      await rm(join(state, name), { recursive: true });
      await rename(kept, join(state, name));
    } else await rm(kept, { recursive: true });
    await remove(server, { volumes: [id] });
    expect(site.problems()).toEqual([]);
  },
);
