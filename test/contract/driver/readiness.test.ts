import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import {
  asBlock,
  mib,
  newSnapshot,
  newVolume,
  remove,
  use,
  volumeRequest,
} from '../../support/disk/csi.ts';
import type { RealServer, Rpc } from '../../support/disk/real-server.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk } from '../../support/disk/real-truth.ts';
import { sparesMade } from '../../support/disk/spares.ts';

const site = await realSite();

/** Asks until GPFS is found to be back; failures are remembered for some seconds. */
async function untilReady(server: RealServer): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
    const { reply, code } = await server.call('Probe', {});
    if (code === 'OK' && reply.ready?.value === true) return;
    await sleep(50);
  }
  throw new Error(`the server never became ready:\n${server.log()}`);
}

/** Every call that touches the root, each with a request that would be fine. */
const needsRoot = (id: string, snapshot: string, staging: string): Partial<Record<Rpc, object>> => {
  const volume_capability = asBlock();
  const onNode = { volume_id: id, volume_capability, staging_target_path: staging };
  return {
    CreateVolume: volumeRequest('new109'),
    DeleteVolume: { volume_id: id },
    ListVolumes: {},
    ControllerGetVolume: { volume_id: id },
    ControllerExpandVolume: { volume_id: id, capacity_range: mib(128) },
    ControllerPublishVolume: { volume_id: id, node_id: 'n1', volume_capability },
    ControllerUnpublishVolume: { volume_id: id, node_id: 'n1' },
    ValidateVolumeCapabilities: { volume_id: id, volume_capabilities: [volume_capability] },
    CreateSnapshot: { name: 'new109', source_volume_id: id },
    DeleteSnapshot: { snapshot_id: snapshot },
    ListSnapshots: {},
    GetSnapshot: { snapshot_id: snapshot },
    NodeStageVolume: onNode,
    NodePublishVolume: { ...onNode, target_path: `${staging}-target` },
  };
};

/** All of them answer UNAVAILABLE, capacity is 0, and Probe says that it is not ready. */
async function expectUnavailable(server: RealServer, calls: Partial<Record<Rpc, object>>) {
  for (const [rpc, request] of Object.entries(calls) as [Rpc, object][]) {
    const { code, details } = await server.call(rpc, request);
    expect(`${rpc} ${code}`, details).toBe(`${rpc} UNAVAILABLE`);
  }
  expect((await server.ok('GetCapacity', {})).available_capacity).toBe('0');
  expect((await server.ok('Probe', {})).ready).toEqual({ value: false });
}

describe('109: a GPFS that is away', () => {
  test('unmounted: UNAVAILABLE, capacity 0, nothing written in its place; mounted again it is found', async () => {
    const server = await site.serve('n1');
    const id = await newVolume(server, 'v109');
    const snapshot = await newSnapshot(server, 's109', id);
    const { staging } = await site.place('v109');
    const files = filesOnDisk(site.root);
    // A mount that the server writes to is busy.
    await sparesMade(site.root);
    execFileSync('umount', [site.mount]);
    await expectUnavailable(server, needsRoot(id, snapshot, staging));
    // What the node side has nothing of is done without asking the root.
    await server.ok('NodeUnpublishVolume', { volume_id: id, target_path: `${staging}-target` });
    await server.ok('NodeUnstageVolume', { volume_id: id, staging_target_path: staging });
    expect(readdirSync(site.mount)).toEqual([]);
    await site.set({});
    await untilReady(server);
    expect(filesOnDisk(site.root)).toEqual(files);
    expect(await newVolume(server, 'v109')).toBe(id);
    const volume = await use(site, server, id, asBlock());
    await volume.release();
    await remove(server, { volumes: [id], snapshots: [snapshot] });
    expect(await server.end()).toBe(0);
  });

  test('unmounted at the start: the same, and nothing is set up in its place', async () => {
    execFileSync('umount', [site.mount]);
    const server = await site.serve('n2');
    expect((await server.ok('Probe', {})).ready).toEqual({ value: false });
    expect(await server.refused('CreateVolume', volumeRequest('v109u'))).toMatch(/^UNAVAILABLE /);
    expect(readdirSync(site.mount)).toEqual([]);
    await site.set({});
    await untilReady(server);
    expect(await server.end()).toBe(0);
  });

  test('daemon arbitrating at the start: not ready, then ready by itself', async () => {
    await site.set({ daemon: 'arbitrating' });
    const server = await site.serve('n3');
    expect((await server.ok('Probe', {})).ready).toEqual({ value: false });
    const sentence = await server.refused('CreateVolume', volumeRequest('v109d'));
    expect(sentence).toMatch(/^UNAVAILABLE .*quorum/);
    await site.set({ daemon: 'active' });
    await untilReady(server);
    await remove(server, { volumes: [await newVolume(server, 'v109d')] });
    expect(await server.end()).toBe(0);
  });

  test('a daemon that goes down under a running server: commands are UNAVAILABLE, and nothing is left half done', async () => {
    const server = await site.serve('n4');
    const id = await newVolume(server, 'v109r');
    await site.set({ daemon: 'down' });
    const ask = { name: 's109r', source_volume_id: id };
    expect(await server.refused('CreateSnapshot', ask)).toMatch(/^UNAVAILABLE /);
    await site.set({ daemon: 'active' });
    const snapshot = await newSnapshot(server, 's109r', id);
    await remove(server, { volumes: [id], snapshots: [snapshot] });
    expect(await server.end()).toBe(0);
  });

  test('what can never work is FAILED_PRECONDITION, and says what to do', async () => {
    const impossible: readonly [Record<string, string>, RegExp][] = [
      [{ pool: 'nope' }, /no storage pool nope; it has system, data/],
      [{ owner: 'another-cluster' }, /belongs to owner "", not to "another-cluster"; give each/],
    ];
    for (const [flags, sentence] of impossible) {
      const server = await site.serve('n5', { flags });
      const words = await server.refused('Probe', {});
      expect(words).toMatch(/^FAILED_PRECONDITION /);
      expect(words).toMatch(sentence);
      expect(await server.end()).toBe(0);
    }
  });
});
