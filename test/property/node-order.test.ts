import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MiB } from '../../src/model/bytes.ts';
import type { Capability } from '../../src/model/capability.ts';
import { DriverError } from '../../src/model/fault.ts';
import type { NodeVolumes } from '../../src/service/api.ts';
import { blockAs, mountAs, publishAsk } from '../support/node/requests.ts';
import { newGround, run, type Ground, type Ready } from '../support/node/ground.ts';

let ground: Ground;

beforeAll(async () => {
  ground = await newGround();
});

afterAll(async () => {
  await ground.close();
});

const kinds = ['stage', 'publish', 'unpublish', 'unstage', 'expand', 'umount', 'restart'] as const;
const call = fc.record({
  kind: fc.constantFrom(...kinds),
  volume: fc.nat(2),
  target: fc.nat(1),
  readonly: fc.boolean(),
});
type Call = typeof call extends fc.Arbitrary<infer T> ? T : never;

const capabilities: readonly [Capability, Capability, Capability] = [
  mountAs('ext4', 'SINGLE_NODE_MULTI_WRITER'),
  mountAs('xfs'),
  blockAs('SINGLE_NODE_MULTI_WRITER'),
];

const targetOf = ({ pod }: Ready, { target }: Pick<Call, 'target'>) => `${pod}-${target}`;

async function perform(node: NodeVolumes, ready: Ready, step: Call): Promise<void> {
  const target = targetOf(ready, step);
  const { id } = ready.volume;
  switch (step.kind) {
    case 'stage':
      return node.stage(ready.ask);
    case 'publish':
      return node.publish(publishAsk(ready.ask, target, step.readonly));
    case 'unpublish':
      return node.unpublish(id, target);
    case 'unstage':
      return node.unstage(id, ready.ask.stagingPath);
    case 'expand':
      await node.expand(id, target, undefined);
      return;
    case 'umount':
      await run(['umount', target], 'write').catch(() => undefined);
      return;
    case 'restart':
      return;
  }
}

// A refusal is a fine answer to a call out of order; anything that is not a DriverError is a defect.
const orRefused = (error: unknown): undefined => {
  if (error instanceof DriverError) return undefined;
  throw error;
};

test('case 86: no order of calls leaves a loop device, a mount or a mark behind', () =>
  fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 6, maxLength: 24 }), async (steps) => {
      const volumes: Ready[] = [];
      for (const capability of capabilities)
        volumes.push(await ground.ready(capability, 320n * MiB));
      let node = ground.restarted();
      for (const step of steps) {
        const ready = volumes[step.volume];
        if (!ready) continue;
        if (step.kind === 'restart') node = ground.restarted();
        await perform(node, ready, step).catch(orRefused);
        // One for each volume, and one more for each read-only publication of the raw block volume.
        expect((await ground.loops()).length).toBeLessThanOrEqual(volumes.length + 2);
      }
      for (const ready of volumes) {
        for (const target of [0, 1])
          await node.unpublish(ready.volume.id, targetOf(ready, { target }));
        await node.unstage(ready.volume.id, ready.ask.stagingPath);
      }
      expect(await ground.leaks()).toEqual([]);
    }),
    { numRuns: 40 },
  ));
