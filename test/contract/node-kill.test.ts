import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../src/model/bytes.ts';
import type { Capability } from '../../src/model/capability.ts';
import type { Run } from '../../src/run/run.ts';
import { blockAs, mountAs, publishAsk } from './node-asks.ts';
import { run, self } from './node-ground.ts';
import { onGround } from './node-suite.ts';
import type { Ground, Ready } from './node-ground.ts';

let ground: Ground;

onGround((fresh) => {
  ground = fresh;
});

type Node = Ground['node'];
const order = ['stage', 'publish', 'unpublish', 'unstage'] as const;
type Name = (typeof order)[number];

const steps: Record<Name, (node: Node, ready: Ready) => Promise<void>> = {
  stage: (node, { ask }) => node.stage(ask),
  publish: (node, { ask, pod }) => node.publish(publishAsk(ask, pod, true)),
  unpublish: (node, { volume, pod }) => node.unpublish(volume.id, pod),
  unstage: (node, { volume, ask }) => node.unstage(volume.id, ask.stagingPath),
};

/** A life of a volume in which one step is broken, then asked for again of a fresh driver. */
async function life(capability: Capability, name: Name, broken: (ready: Ready) => Promise<void>) {
  const ready = await ground.ready(capability, 320n * MiB);
  for (const step of order) {
    if (step === name) await broken(ready);
    await steps[step](ground.restarted(), ready);
    if (step === 'stage') expect(await ground.loops()).toHaveLength(1);
  }
  expect(await ground.leaks()).toEqual([]);
}

const victim = fileURLToPath(new URL('../support/node-victim.ts', import.meta.url));

/** A driver process that is killed at its n-th effect; false when it came to its end before that. */
async function killedAt(
  step: Name,
  { volume, ask, pod }: Ready,
  at: number,
  when: 'before' | 'after',
): Promise<boolean> {
  const { id } = volume;
  const { stagingPath, capability } = ask;
  const { directory } = ground;
  const what = { directory, self, step, id, stagingPath, target: pod, capability, at, when };
  const child = spawn(process.execPath, [victim, JSON.stringify(what)], { stdio: 'ignore' });
  const [status, signal] = (await once(child, 'exit')) as [number | null, string | null];
  if (signal === 'SIGKILL') return true;
  expect(status).toBe(0);
  return false;
}

// Each kill takes a life of a volume: all of them are for `npm run test:soak:node`.
const thorough = process.env['GPFS_CSI_SOAK_CALLS'] !== undefined;
const some = <T>(all: readonly T[], few: readonly T[]): readonly T[] => (thorough ? all : few);

describe('85: kill -9 of the driver between every two steps', () => {
  const everyStep = (capability: Capability) => order.map((step) => [capability, step] as const);
  const all = [...everyStep(mountAs('ext4')), ...everyStep(blockAs())];
  test.each(
    some(all, [
      [mountAs('ext4'), 'stage'],
      [blockAs(), 'unpublish'],
    ]),
  )(
    '%j, in %s: the next driver finishes it',
    async (capability, step) => {
      const found = { points: 0, reached: true };
      for (let at = 1; found.reached; at += 1)
        for (const when of ['before', 'after'] as const)
          await life(capability, step, async (ready) => {
            found.reached = await killedAt(step, ready, at, when);
            if (found.reached) found.points += 1;
          });
      expect(found.points).toBeGreaterThan(3);
      process.stdout.write(`${found.points} kills of the driver in ${step}\n`);
    },
    thorough ? 600_000 : 120_000,
  );
});

describe('85: kill -9 of a command, at once, half way and when it was just done', () => {
  const cases = (['ext4', 'xfs', 'btrfs'] as const).flatMap((type) =>
    order.map((step) => [mountAs(type), step] as const),
  );
  const all = [...cases, [blockAs(), 'publish'] as const];
  test.each(
    some(all, [
      [mountAs('xfs'), 'stage'],
      [blockAs(), 'publish'],
    ]),
  )(
    '%j, in %s: the retry converges',
    async (capability, step) => {
      const found = { points: 0, reached: true };
      for (let at = 1; found.reached; at += 1)
        for (const seconds of ['0.001', '0.004', '0.02', 'after'])
          await life(capability, step, async (ready) => {
            let count = 0;
            const killing: Run = async (argv, kind, options) => {
              if (kind !== 'write') return run(argv, kind, options);
              count += 1;
              if (count !== at) return run(argv, kind, options);
              if (seconds !== 'after')
                return run(['timeout', '-s', 'KILL', seconds, ...argv], kind, options);
              await run(argv, kind, options);
              throw new Error('killed after its work');
            };
            await steps[step](ground.restarted({ run: killing }), ready).catch(() => undefined);
            found.reached = count >= at;
            if (found.reached) found.points += 1;
          });
      expect(found.points).toBeGreaterThan(0);
      process.stdout.write(`${found.points} kills of a command in ${step}\n`);
    },
    thorough ? 600_000 : 120_000,
  );
});
