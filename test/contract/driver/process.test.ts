import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { asMount, newSnapshot, newVolume, remove, volumeRequest } from '../../support/disk/csi.ts';
import { cli } from '../../support/disk/real-server.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk, recordsOnDisk } from '../../support/disk/real-truth.ts';

const site = await realSite();
const replicas = { parameters: { dataReplicas: '1' } };

afterEach(() => site.set({ latencyMs: 0, hang: [] }));

/** Waits until a volume's record says that this operation runs. */
async function begun(op: string): Promise<void> {
  while (!recordsOnDisk(site.root, 'volumes').some(({ claim }) => claim?.op === op)) await sleep(5);
}

describe('a process of the driver', () => {
  test('110: past the deadline the operation goes on; retries wait for it, and find its result', async () => {
    const server = await site.serve('p110');
    await site.set({ latencyMs: 1500 });
    const request = { ...volumeRequest('v110'), ...replicas };
    const late = await server.call('CreateVolume', request, { deadlineMs: 300 });
    expect(late.code).toMatch(/^(?:UNAVAILABLE|DEADLINE_EXCEEDED)$/);
    const early = await server.call('CreateVolume', request, { deadlineMs: 300 });
    expect(`${early.code} ${early.details}`).toMatch(/^(?:ABORTED .*v110|DEADLINE_EXCEEDED )/);
    const joined = await server.call('CreateVolume', request);
    expect(joined).toMatchObject({ code: 'OK' });
    const { volume } = joined.reply;
    expect(filesOnDisk(site.root)).toHaveLength(1);
    await remove(server, { volumes: [volume?.volume_id ?? ''] });
    expect(await server.end()).toBe(0);
  });

  test('111: SIGTERM lets a running call finish, then ends with 0', async () => {
    const server = await site.serve('p111');
    const id = await newVolume(server, 'v111');
    await site.set({ latencyMs: 1000 });
    const running = server.call('CreateSnapshot', { name: 's111', source_volume_id: id });
    await begun('snapshot');
    const ending = server.end('SIGTERM');
    expect(await running).toMatchObject({
      code: 'OK',
      reply: { snapshot: { ready_to_use: true } },
    });
    expect(await ending).toBe(0);
    expect(existsSync(server.socket)).toBe(false);
    await site.set({ latencyMs: 0 });
    const next = await site.serve('p111');
    const snapshot = await newSnapshot(next, 's111', id);
    await remove(next, { volumes: [id], snapshots: [snapshot] });
    expect(await next.end('SIGINT')).toBe(0);
  });

  test('111: what does not end in the time of grace is left to a retry', async () => {
    const server = await site.serve('p111', { flags: { 'shutdown-grace': '300' } });
    await site.set({ latencyMs: 2000 });
    const request = { ...volumeRequest('v111g'), ...replicas };
    const running = server.call('CreateVolume', request);
    await begun('create');
    expect(await server.end('SIGTERM')).toBe(0);
    expect((await running).code).not.toBe('OK');
    await site.set({ latencyMs: 0 });
    await site.quiet();
    const next = await site.serve('p111');
    const { volume } = await next.ok('CreateVolume', request);
    expect(site.problems()).toEqual([]);
    await remove(next, { volumes: [volume?.volume_id ?? ''] });
    expect(await next.end()).toBe(0);
  });

  test('a second instance on a live socket ends with 1 and does not disturb the first', async () => {
    const server = await site.serve('twice');
    const argv = Object.entries(site.flags('twice')).flatMap(([flag, value]) => [
      `--${flag}`,
      value,
    ]);
    const second = cli(['serve', ...argv], { CSI_ENDPOINT: `unix://${server.socket}` });
    expect(await second.status).toBe(1);
    expect(second.err()).toMatch(/another instance is live on .*twice\.sock/);
    expect((await server.ok('Probe', {})).ready).toEqual({ value: true });
    expect(await server.end()).toBe(0);
  });

  test('the socket of a killed instance is replaced', async () => {
    const killed = await site.serve('stale');
    expect(await killed.end('SIGKILL')).toBeNull();
    expect(existsSync(killed.socket)).toBe(true);
    const next = await site.serve('stale');
    expect((await next.ok('Probe', {})).ready).toEqual({ value: true });
    expect(await next.end()).toBe(0);
    expect(existsSync(next.socket)).toBe(false);
  });

  test('a command that hangs is an operation under way, and other objects are served meanwhile', async () => {
    const server = await site.serve('hangs', {
      flags: { 'request-limit': '400', 'shutdown-grace': '0' },
    });
    const plain = await newVolume(server, 'plain');
    await site.set({ hang: ['mmchattr'] });
    const request = { ...volumeRequest('hung'), ...replicas };
    expect(await server.refused('CreateVolume', request)).toMatch(/^UNAVAILABLE .*still running/);
    expect(await server.refused('CreateVolume', request)).toMatch(/^ABORTED /);
    expect(await newVolume(server, 'plain')).toBe(plain);
    await remove(server, { volumes: [plain, await newVolume(server, 'plain2')] });
    expect(await server.end('SIGTERM')).toBe(0);
    for (const pid of site.commands()) process.kill(pid, 'SIGKILL');
    await site.quiet();
    await site.set({ hang: [] });
    const next = await site.serve('hangs');
    const { volume } = await next.ok('CreateVolume', request);
    await remove(next, { volumes: [volume?.volume_id ?? ''] });
    expect(await next.end()).toBe(0);
  });
});

const canary = 'CANARY-b7e1';

test('104: no secret and no mount flag is in the log at its most talkative, nor in an answer', async () => {
  const server = await site.serve('quiet', { flags: { 'log-level': 'debug' } });
  const secrets = { password: canary, [`key-${canary}`]: 'x' };
  const capability = asMount('ext4', 'SINGLE_NODE_MULTI_WRITER', [
    `context=system_u:object_r:${canary}:s0`,
    // No kernel mounts an ext4 so.
    'data=ordered',
    'journal_async_commit',
  ]);
  const create = { ...volumeRequest('v104', { capability }), secrets };
  const volume_id = (await server.ok('CreateVolume', create)).volume?.volume_id ?? '';
  const { staging, target } = await site.place('v104');
  const where = { volume_id, volume_capability: capability, secrets };
  const onNode = { ...where, staging_target_path: staging };
  await server.ok('ControllerPublishVolume', { ...where, node_id: server.node });
  const answers = await Promise.all([
    server.call('CreateVolume', { ...create, volume_capabilities: [asMount('zfs')] }),
    server.call('CreateVolume', { ...create, name: '' }),
    server.call('CreateSnapshot', { source_volume_id: 'nope', name: 's104', secrets }),
    server.call('DeleteVolume', { volume_id, secrets }),
    server.call('NodeStageVolume', onNode),
    server.call('NodePublishVolume', { ...onNode, target_path: target }),
    server.call('NodeExpandVolume', { volume_id, volume_path: target, secrets }),
    server.call('ControllerExpandVolume', { volume_id, secrets }),
    server.call('ListSnapshots', { secrets, starting_token: 'x' }),
  ]);
  for (const { code, details } of answers) {
    expect(code).not.toBe('OK');
    // 105: never without a word.
    expect(details).not.toBe('');
    expect(details).not.toContain(canary);
  }
  await server.ok('NodeUnstageVolume', { volume_id, staging_target_path: staging });
  await server.ok('ControllerUnpublishVolume', { volume_id, secrets });
  await server.ok('DeleteVolume', { volume_id, secrets });
  expect(await server.end()).toBe(0);
  expect(server.log()).toContain('NodeStageVolume');
  expect(server.log()).not.toContain(canary);
});

test('nothing of all this is left', () => {
  expect(filesOnDisk(site.root)).toEqual([]);
  expect(site.problems()).toEqual([]);
  expect(site.inUse()).toEqual([]);
  expect(existsSync(join(site.directory, 'quiet.sock'))).toBe(false);
});
