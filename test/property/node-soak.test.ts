import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MiB } from '../../src/model/bytes.ts';
import type { Capability } from '../../src/model/capability.ts';
import { DriverError } from '../../src/model/fault.ts';
import { systemClock } from '../../src/run/clock.ts';
import { blockAs, mountAs, publishAsk } from '../support/node/requests.ts';
import { newGround, run, self, type Ground, type Ready } from '../support/node/ground.ts';
import { mortal } from '../support/node/mortal.ts';

/** `npm run test:soak:node` makes 2,000; every run of the tests some. */
const calls = Number(process.env['GPFS_CSI_SOAK_CALLS'] ?? 120);
const seed = Number(process.env['GPFS_CSI_SOAK_SEED'] ?? 6);

let ground: Ground;
let node: Ground['node'];

const program = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const hour = 3_600_000;
const time = { ahead: 0 };

beforeAll(async () => {
  ground = await newGround();
  node = ground.restarted({
    clock: { ...systemClock, now: () => systemClock.now() + time.ahead },
    trimIntervalMs: hour,
    limits: { trimLoad: Number.POSITIVE_INFINITY },
    watchdog: [process.execPath, program, 'thaw'],
  });
});

afterAll(async () => {
  await node.close();
  await ground.close();
});

const manyOf = (count: number, capability: Capability) =>
  Array.from({ length: count }, () => capability);

const capabilities: readonly Capability[] = [
  ...manyOf(4, mountAs('ext4', 'SINGLE_NODE_MULTI_WRITER')),
  ...manyOf(3, mountAs('xfs')),
  ...manyOf(3, mountAs('btrfs', 'SINGLE_NODE_MULTI_WRITER')),
  ...manyOf(2, mountAs('xfs', 'MULTI_NODE_READER_ONLY')),
  ...manyOf(2, mountAs('ext4', 'MULTI_NODE_READER_ONLY')),
  ...manyOf(1, blockAs('MULTI_NODE_READER_ONLY')),
  ...manyOf(5, blockAs('SINGLE_NODE_MULTI_WRITER')),
];

// A volume that is in use has more that can be done to it: so the ways to it come more often than the ways back.
const kinds = [
  ...(['stage', 'stage', 'publish', 'publish', 'unpublish', 'unstage'] as const),
  ...(['expand', 'grow', 'stats'] as const),
  ...(['modify', 'trim', 'freeze', 'umount', 'reconcile', 'die'] as const),
  ...(['otherCapability', 'otherPath', 'unknown'] as const),
];
const call = fc.record({
  kind: fc.constantFrom(...kinds),
  volume: fc.nat(capabilities.length - 1),
  target: fc.nat(1),
  readonly: fc.boolean(),
  at: fc.integer({ min: 1, max: 24 }),
});
type Call = typeof call extends fc.Arbitrary<infer T> ? T : never;

/** As a ControllerModifyVolume of another server does: half of the volumes want freezes at any time. */
const modify = ({ volume }: Ready, { at, readonly }: Call) =>
  ground.store.volumes.update(volume.local, (record) => ({
    ...record,
    options: {
      ...record.options,
      discard: (['auto', 'on', 'off'] as const)[at % 3],
      freeze: readonly ? ('auto' as const) : ('never' as const),
    },
  }));

const asked = new Map<string, string>();

/** As a snapshot does that is being cut elsewhere: it continues while the next calls come, and ends with the next such call. */
async function freeze({ volume }: Pick<Ready, 'volume'>): Promise<void> {
  const before = asked.get(volume.id);
  if (before !== undefined) await ground.store.freezes.retract(self.node, before);
  asked.delete(volume.id);
  const image = (await ground.store.volumes.read(volume.local))?.value.image;
  if (before !== undefined || !image) return;
  const what = { volume: volume.id, image: image.key };
  asked.set(volume.id, await ground.store.freezes.ask(self.node, what));
}

async function perform(ready: Ready, step: Call): Promise<unknown> {
  const { volume, ask } = ready;
  const target = `${ready.pod}-${step.target}`;
  const either = step.readonly ? ask.stagingPath : target;
  switch (step.kind) {
    case 'stage':
      return node.stage(ask);
    case 'publish':
      return node.publish(publishAsk(ask, target, step.readonly));
    case 'unpublish':
      return node.unpublish(volume.id, target);
    case 'unstage':
      return node.unstage(volume.id, ask.stagingPath);
    case 'expand':
      return node.expand(volume.id, either, undefined);
    case 'grow':
      return ground.grow(volume, 320n * MiB + BigInt(step.at) * 16n * MiB).catch(() => undefined);
    case 'stats':
      return node.stats(volume.id, either);
    case 'modify':
      return modify(ready, step);
    case 'trim':
      time.ahead += hour / 8;
      return node.trim();
    case 'freeze':
      return freeze(ready);
    case 'umount':
      return run(['umount', target], 'write').catch(() => undefined);
    case 'reconcile':
      return node.reconcile();
    case 'otherCapability':
      return node.stage({ ...ask, capability: mountAs('ext4', 'SINGLE_NODE_SINGLE_WRITER') });
    case 'otherPath':
      return node.publish({ ...publishAsk(ask, `${target}/../../x`), stagingPath: '/nowhere' });
    case 'unknown':
      return node.unpublish(`${volume.id}x`, target);
    case 'die':
      return die(ready, step);
  }
}

/** A driver that dies in one of the calls; the next call meets what it left. */
async function die(ready: Ready, { at, target, readonly }: Call): Promise<void> {
  const { ports } = mortal(run, { at, when: readonly ? 'before' : 'after' }, () => {
    throw new Error('died');
  });
  const dying = ground.restarted(ports);
  const all = [
    () => dying.stage(ready.ask),
    () => dying.publish(publishAsk(ready.ask, `${ready.pod}-${target}`, readonly)),
    () => dying.expand(ready.volume.id, `${ready.pod}-${target}`, undefined),
    () => dying.unpublish(ready.volume.id, `${ready.pod}-${target}`),
    () => dying.unstage(ready.volume.id, ready.ask.stagingPath),
  ];
  for (const each of all.slice(at % 5)) await each().catch(() => undefined);
}

const orRefused = (error: unknown): 'refused' => {
  if (error instanceof DriverError) return 'refused';
  throw error;
};

test(
  `case 86: ${calls} random calls over 20 volumes, legal and illegal, leave nothing behind`,
  async () => {
    const volumes: Ready[] = [];
    for (const capability of capabilities) volumes.push(await ground.ready(capability, 320n * MiB));
    const told = { done: 0, refused: 0 };
    const byKind = new Map<string, number>();
    for (const step of fc.sample(call, { numRuns: calls, seed })) {
      const ready = volumes[step.volume];
      if (!ready) continue;
      const outcome = await perform(ready, step).then(() => 'done' as const, orRefused);
      told[outcome] += 1;
      const name = `${step.kind} ${outcome}`;
      byKind.set(name, (byKind.get(name) ?? 0) + 1);
      // One for each volume, and one more for each read-only publication of a writable raw block volume.
      expect((await ground.loops()).length).toBeLessThanOrEqual(volumes.length + 2 * 5);
    }
    expect(told.done).toBeGreaterThan(calls / 4);
    expect(told.refused).toBeGreaterThan(calls / 20);
    for (const { volume, ask, pod } of volumes) {
      if (asked.has(volume.id)) await freeze({ volume });
      for (const target of [0, 1]) await node.unpublish(volume.id, `${pod}-${target}`);
      await node.unstage(volume.id, ask.stagingPath);
    }
    expect(await ground.leaks()).toEqual([]);
    expect(await run(['find', join(ground.directory, 'state'), '-type', 'f'], 'read')).toBe('');
    const shown = [...byKind].sort().map(([name, count]) => `${name} ${count}`);
    process.stdout.write(
      `soak: ${told.done} calls done, ${told.refused} refused, nothing left: ${shown.join(', ')}\n`,
    );
  },
  60 * 60_000,
);
