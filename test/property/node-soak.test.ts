import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MiB } from '../../src/model/bytes.ts';
import type { Capability } from '../../src/model/capability.ts';
import { DriverError } from '../../src/model/fault.ts';
import { blockAs, mountAs, publishAsk } from '../contract/node-asks.ts';
import { newGround, run } from '../contract/node-ground.ts';
import type { Ground, Ready } from '../contract/node-ground.ts';
import { mortal } from '../support/mortal.ts';

/** `npm run test:soak:node` makes 2,000; every run of the tests some. */
const calls = Number(process.env['GPFS_CSI_SOAK_CALLS'] ?? 120);
const seed = Number(process.env['GPFS_CSI_SOAK_SEED'] ?? 6);

let ground: Ground;

beforeAll(async () => {
  ground = await newGround();
});

afterAll(async () => {
  await ground.close();
});

const capabilities: readonly Capability[] = [
  ...Array.from({ length: 5 }, () => mountAs('ext4', 'SINGLE_NODE_MULTI_WRITER')),
  ...Array.from({ length: 4 }, () => mountAs('xfs')),
  ...Array.from({ length: 3 }, () => mountAs('btrfs', 'SINGLE_NODE_MULTI_WRITER')),
  ...Array.from({ length: 3 }, () => mountAs('xfs', 'MULTI_NODE_READER_ONLY')),
  ...Array.from({ length: 5 }, () => blockAs('SINGLE_NODE_MULTI_WRITER')),
];

const kinds = [
  ...(['stage', 'publish', 'unpublish', 'unstage', 'expand', 'grow', 'stats'] as const),
  ...(['umount', 'reconcile', 'die', 'otherCapability', 'otherPath', 'unknown'] as const),
];
const call = fc.record({
  kind: fc.constantFrom(...kinds),
  volume: fc.nat(capabilities.length - 1),
  target: fc.nat(1),
  readonly: fc.boolean(),
  at: fc.integer({ min: 1, max: 12 }),
});
type Call = typeof call extends fc.Arbitrary<infer T> ? T : never;

async function perform(ready: Ready, step: Call): Promise<unknown> {
  const node = ground.node;
  const { volume, ask } = ready;
  const target = `${ready.pod}-${step.target}`;
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
      return node.expand(volume.id, target, undefined);
    case 'grow':
      return ground.grow(volume, 320n * MiB + BigInt(step.at) * 32n * MiB).catch(() => undefined);
    case 'stats':
      return node.stats(volume.id, target);
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
  const node = ground.restarted(ports);
  const all = [
    () => node.stage(ready.ask),
    () => node.publish(publishAsk(ready.ask, `${ready.pod}-${target}`, readonly)),
    () => node.unpublish(ready.volume.id, `${ready.pod}-${target}`),
    () => node.unstage(ready.volume.id, ready.ask.stagingPath),
  ];
  for (const each of all.slice(at % 4)) await each().catch(() => undefined);
}

const orRefused = (error: unknown): string => {
  if (error instanceof DriverError) return error.fault.kind;
  throw error;
};

test(
  `case 86: ${calls} random calls over 20 volumes, legal and illegal, leave nothing behind`,
  async () => {
    const volumes: Ready[] = [];
    for (const capability of capabilities) volumes.push(await ground.ready(capability, 320n * MiB));
    const told = { done: 0, refused: 0 };
    for (const step of fc.sample(call, { numRuns: calls, seed })) {
      const ready = volumes[step.volume];
      if (!ready) continue;
      const outcome = await perform(ready, step).then(() => '', orRefused);
      told[outcome === '' ? 'done' : 'refused'] += 1;
      // One for each volume, and one more for each read-only publication of a raw block volume.
      expect((await ground.loops()).length).toBeLessThanOrEqual(volumes.length + 2 * 5);
    }
    expect(told.done).toBeGreaterThan(calls / 4);
    expect(told.refused).toBeGreaterThan(calls / 20);
    for (const { volume, ask, pod } of volumes) {
      for (const target of [0, 1]) await ground.node.unpublish(volume.id, `${pod}-${target}`);
      await ground.node.unstage(volume.id, ask.stagingPath);
    }
    expect(await ground.leaks()).toEqual([]);
    const state = join(ground.directory, 'state');
    expect(await run(['find', state, '-name', '*.json'], 'read')).toBe('');
    process.stdout.write(`soak: ${told.done} calls done, ${told.refused} refused, nothing left\n`);
  },
  60 * 60_000,
);
