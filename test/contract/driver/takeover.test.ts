import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import {
  fromVolume,
  mib,
  newSnapshot,
  newVolume,
  remove,
  volumeRequest,
} from '../../support/disk/csi.ts';
import type { RealServer } from '../../support/disk/real-server.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { claimed, makeSilent } from '../../support/disk/takeover.ts';
import { filesOnDisk, recordsOnDisk } from '../../support/disk/real-truth.ts';

const site = await realSite();
const b = await site.serve('b1');

afterEach(() => site.set({ latencyMs: 0 }));

const begun = (op: string) => claimed(site.root, op);
const silentFor = (seconds: number, node: string) => makeSilent(site.root, node, seconds);

const create = { ...volumeRequest('run'), parameters: { dataReplicas: '1' } };

describe('an operation of a server that is gone', () => {
  test.each([
    ['create', 'CreateVolume', () => create],
    ['clone', 'CreateVolume', (id: string) => volumeRequest('run', { from: fromVolume(id) })],
    ['snapshot', 'CreateSnapshot', (id: string) => ({ name: 'run', source_volume_id: id })],
  ] as const)(
    '%s: the other server waits until a new instance shows it, then finishes',
    async (op, rpc, ask) => {
      const a = await site.serve('a1');
      const source = await newVolume(a, 'source');
      const request = ask(source);
      await site.set({ latencyMs: 500 });
      const lost = a.call(rpc, request);
      await begun(op);
      await a.end('SIGKILL');
      expect((await lost).code).not.toBe('OK');
      await site.quiet();
      await site.set({ latencyMs: 0 });
      const refused = await b.call(rpc, request, { deadlineMs: 5000 });
      expect(`${refused.code} ${refused.details}`).toMatch(/^ABORTED .*node a1 is at work/);
      const again = await site.serve('a1');
      await b.ok(rpc, request);
      expect(site.problems()).toEqual([]);
      const made = source.replace(/source$/, 'run');
      await remove(b, { volumes: [source, made], snapshots: [made] });
      expect(filesOnDisk(site.root)).toEqual([]);
      expect(await again.end()).toBe(0);
    },
  );

  test.each([
    ['create', 'CreateVolume', () => create],
    ['clone', 'CreateVolume', (id: string) => volumeRequest('run', { from: fromVolume(id) })],
    ['snapshot', 'CreateSnapshot', (id: string) => ({ name: 'run', source_volume_id: id })],
  ] as const)(
    '%s: a server that was silent for long is taken over, and does no harm when it wakes up',
    async (op, rpc, ask) => {
      const a = await site.serve(`stalled-${op}`);
      const source = await newVolume(a, 'source');
      const request = ask(source);
      await site.set({ latencyMs: 400 });
      const slow = a.call(rpc, request);
      while (site.commands().length === 0) await sleep(5);
      a.signal('SIGSTOP');
      await silentFor(200, a.node);
      await site.quiet();
      await site.set({ latencyMs: 0 });
      await b.ok(rpc, request);
      a.signal('SIGCONT');
      // Whatever it met, it must not say that something is missing or wrong for good.
      expect(['OK', 'ABORTED']).toContain((await slow).code);
      await a.ok(rpc, request);
      const made = source.replace(/source$/, 'run');
      await expect.poll(() => site.problems(), { timeout: 5000 }).toEqual([]);
      await remove(a, { volumes: [source, made], snapshots: [made] });
      expect(filesOnDisk(site.root)).toEqual([]);
      expect(await a.end()).toBe(0);
    },
  );

  test('growing is taken over only from a server that is known to be gone', async () => {
    const a = await site.serve('grows1');
    const volume_id = await newVolume(b, 'grows', { mib: 8 });
    const ask = { volume_id, capacity_range: mib(16) };
    const running = await stopInClaim(a, ask);
    await silentFor(200, 'grows1');
    expect(await b.refused('ControllerExpandVolume', ask)).toMatch(/^UNAVAILABLE .*node grows1/);
    await a.end('SIGKILL');
    await running;
    const again = await site.serve('grows1');
    expect((await b.ok('ControllerExpandVolume', ask)).capacity_bytes).toBe(String(16 * 1024 ** 2));
    expect(site.problems()).toEqual([]);
    await remove(b, { volumes: [volume_id] });
    expect(await again.end()).toBe(0);
  });
});

type Grow = Parameters<typeof b.call<'ControllerExpandVolume'>>[1];

/** Stops a server between its claim to expand and the end of it; asks until the moment is met. */
async function stopInClaim(a: RealServer, ask: Grow): Promise<Promise<unknown>> {
  const running = a.call('ControllerExpandVolume', ask);
  const claimed = () => recordsOnDisk(site.root, 'volumes').some(({ claim }) => claim !== null);
  const state = { ended: false };
  void running.then(() => (state.ended = true));
  while (!claimed() && !state.ended) await new Promise((resolve) => setImmediate(resolve));
  a.signal('SIGSTOP');
  return { running };
}

test('a snapshot by one server while the other deletes the volume leaves one of both', async () => {
  const a = await site.serve('both1');
  for (let round = 0; round < 5; round += 1) {
    const volume_id = await newVolume(a, 'both');
    const ask = { name: 'both', source_volume_id: volume_id };
    const [made] = await Promise.all([
      a.call('CreateSnapshot', ask),
      b.ok('DeleteVolume', { volume_id }),
    ]);
    expect(['OK', 'ABORTED', 'NOT_FOUND']).toContain(made.code);
    if (made.code === 'ABORTED')
      expect(await a.refused('CreateSnapshot', ask)).toMatch(/^NOT_FOUND /);
    expect(site.problems()).toEqual([]);
    await remove(b, { snapshots: [volume_id] });
    expect(filesOnDisk(site.root)).toEqual([]);
  }
  expect(await newSnapshot(a, 'last', await newVolume(a, 'last'))).toMatch(/\.last$/);
});
