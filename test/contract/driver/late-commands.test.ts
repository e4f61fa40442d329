import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import {
  fromSnapshot,
  fromVolume,
  mib,
  newSnapshot,
  newVolume,
  remove,
  volumeRequest,
} from '../../support/disk/csi.ts';
import type { RealServer } from '../../support/disk/real-server.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { barredOnDisk, filesOnDisk, recordsOnDisk } from '../../support/disk/real-truth.ts';
import { claimed, makeSilent } from '../../support/disk/takeover.ts';

// A server is stopped, and so is the command that it started. Another one takes its operation over. Then the command
// continues: whatever it makes, nobody waits for it any more.

const site = await realSite();
const b = await site.serve('b1');

afterEach(() => site.set({ latencyMs: 0, quota: false }));

const local = (id: string): string => id.slice(id.indexOf('.') + 1);

const signal = (pids: readonly number[], name: NodeJS.Signals) => {
  for (const pid of pids) process.kill(pid, name);
};

/** An operation that is stopped in the middle of its command, and that another server has ended. */
interface Stopped {
  readonly a: RealServer;
  readonly slow: Promise<{ readonly code: string }>;
  /** Lets the command continue, and waits for its end. */
  readonly finish: () => Promise<void>;
}

async function overtaken(
  a: RealServer,
  op: string,
  begin: () => Promise<{ readonly code: string }>,
  meanwhile: () => Promise<unknown>,
): Promise<Stopped> {
  await site.set({ latencyMs: 300 });
  const slow = begin();
  await claimed(site.root, op);
  while (site.commands().length === 0) await sleep(5);
  const commands = site.commands();
  signal(commands, 'SIGSTOP');
  a.signal('SIGSTOP');
  await makeSilent(site.root, a.node, 200);
  await site.set({ latencyMs: 0 });
  await meanwhile();
  const finish = async () => {
    signal(commands, 'SIGCONT');
    await site.quiet();
  };
  return { a, slow, finish };
}

/** Files and edges are as if the command had never been started; its server, which is stopped, has not ended its claims. */
function expectNothingMade(): void {
  const [key = 'none', ...more] = barredOnDisk(site.root);
  expect(more).toEqual([]);
  const pending = new RegExp(`${key} is|is still claimed|is creating`);
  expect(site.problems().filter((each) => !pending.test(each))).toEqual([]);
}

async function wake({ a, slow }: Stopped): Promise<void> {
  a.signal('SIGCONT');
  // Whatever it met, it must not say that something is missing or wrong for good.
  expect(['OK', 'ABORTED']).toContain((await slow).code);
  await expect.poll(() => site.problems(), { timeout: 5_000 }).toEqual([]);
}

/** The node gets another server process, as after `kill -9`. */
async function replace({ a, slow }: Stopped): Promise<RealServer> {
  await a.end('SIGKILL');
  expect((await slow).code).not.toBe('OK');
  const again = await site.serve(a.node);
  await expect.poll(() => barredOnDisk(site.root), { timeout: 5_000 }).toEqual([]);
  expectNothingMade();
  return again;
}

const cuts = [
  [
    'snapshot',
    'CreateSnapshot',
    (id: string) => ({ name: `${local(id)}-cut`, source_volume_id: id }),
  ],
  [
    'clone',
    'CreateVolume',
    (id: string) => volumeRequest(`${local(id)}-late`, { from: fromVolume(id) }),
  ],
] as const;

describe('a command that continues after its operation was taken over changes nothing', () => {
  test.each(cuts)('%s, and the server wakes up', async (op, rpc, ask) => {
    const a = await site.serve(`wakes-${op}`);
    const volume_id = await newVolume(a, `woken-${op}`, { mib: 8 });
    const expand = () => b.ok('ControllerExpandVolume', { volume_id, capacity_range: mib(16) });
    const stopped = await overtaken(a, op, () => a.call(rpc, ask(volume_id)), expand);
    await stopped.finish();
    expectNothingMade();
    await wake(stopped);
    await a.ok(rpc, ask(volume_id));
    const name = local(volume_id);
    const cut = recordsOnDisk(site.root, 'snapshots').find(({ id }) => id === `${name}-cut`);
    if (op === 'snapshot') expect(cut?.bytes).toBe(String(16 << 20));
    const made = volume_id.replace(name, `${name}-${op === 'snapshot' ? 'cut' : 'late'}`);
    await remove(a, { snapshots: [made], volumes: [made, volume_id] });
    expect(filesOnDisk(site.root)).toEqual([]);
    expect(await a.end()).toBe(0);
  });

  test.each(cuts)('%s, and the server never wakes up', async (op, rpc, ask) => {
    const a = await site.serve(`dies-${op}`);
    const volume_id = await newVolume(a, `lost-${op}`, { mib: 8 });
    const second = `${local(volume_id)}-second`;
    const cutAgain = () => newSnapshot(b, second, volume_id);
    const stopped = await overtaken(a, op, () => a.call(rpc, ask(volume_id)), cutAgain);
    await stopped.finish();
    expectNothingMade();
    const again = await replace(stopped);
    const idOf = (name: string) => volume_id.replace(local(volume_id), name);
    const [cut, late] = [`${local(volume_id)}-cut`, `${local(volume_id)}-late`].map(idOf);
    await remove(b, { snapshots: [idOf(second), cut ?? ''], volumes: [late ?? '', volume_id] });
    expect(site.problems()).toEqual([]);
    expect(filesOnDisk(site.root)).toEqual([]);
    expect(await again.end()).toBe(0);
  });

  test('a restore, whose file would keep the deleted snapshot', async () => {
    const a = await site.serve('restores');
    const volume_id = await newVolume(a, 'restored', { mib: 8 });
    const snapshot_id = await newSnapshot(a, 'restored-from', volume_id);
    const from = fromSnapshot(snapshot_id);
    const made = volume_id.replace(/restored$/, 'restored-late');
    const stopped = await overtaken(
      a,
      'create',
      () => a.call('CreateVolume', volumeRequest('restored-late', { from })),
      () => remove(b, { volumes: [made, volume_id], snapshots: [snapshot_id] }),
    );
    await stopped.finish();
    expectNothingMade();
    expect((await replace(stopped)).node).toBe('restores');
    await expect.poll(() => filesOnDisk(site.root), { timeout: 5_000 }).toEqual([]);
  });
});

test('a cut that took effect is recorded later, where the server that takes over has no quota', async () => {
  const a = await site.serve('quota');
  const volume_id = await newVolume(a, 'short', { mib: 8 });
  const ask = { name: 'short-cut', source_volume_id: volume_id };
  await site.set({ latencyMs: 300 });
  const slow = a.call('CreateSnapshot', ask);
  await claimed(site.root, 'snapshot');
  while (site.commands().length === 0) await sleep(5);
  a.signal('SIGSTOP');
  await site.quiet();
  await makeSilent(site.root, a.node, 200);
  await site.set({ latencyMs: 0, quota: true });
  expect(await b.refused('CreateSnapshot', ask)).toMatch(/^RESOURCE_EXHAUSTED /);
  await site.set({ quota: false });
  const { snapshot } = await b.ok('CreateSnapshot', ask);
  const again = await replace({ a, slow, finish: () => Promise.resolve() });
  await remove(b, { volumes: [volume_id], snapshots: [snapshot?.snapshot_id ?? ''] });
  expect(filesOnDisk(site.root)).toEqual([]);
  expect(await again.end()).toBe(0);
});
