import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { Run } from '../../../src/run/run.ts';
import { calls, make, type Call, type Used } from '../../support/node/calls.ts';
import { mortal, type Death } from '../../support/node/mortal.ts';
import type { Order } from '../../support/node/victim.ts';
import { run, self, type Ground } from '../../support/node/ground.ts';
import { dieEverywhere, kinds, life } from '../../support/node/lives.ts';
import { onGround } from '../../support/node/suite.ts';

let ground: Ground;

onGround((fresh) => {
  ground = fresh;
});

// Each death takes a life of a volume: all of them are for `npm run test:soak:node`.
const thorough = process.env['GPFS_CSI_SOAK_CALLS'] !== undefined;
const limitMs = 60 * 60_000;

/**
 * Every call of every kind of use; a few of them in each run of the tests. What is killed for real there needs no
 * death in the process itself as well: both stop at the same steps.
 */
const casesOf = (...few: readonly (readonly [kind: string, call: Call])[]) =>
  kinds
    .flatMap((kind) => calls.map((call) => ({ kind, call })))
    .filter(({ kind, call }) => thorough || few.some(([k, c]) => k === kind.name && c === call))
    .map(({ kind, call }) => ({ kind, call, name: `${kind.name}: ${call}` }));

const tell = (what: string): void => {
  process.stdout.write(`${what}\n`);
};

describe('case 85: a driver that dies at any step of a call is followed by one that finishes', () => {
  const cases = casesOf(
    ['read-only block', 'publish'],
    ['read-only block', 'unpublish'],
    ['read-only block', 'unstage'],
  );
  test.each(cases)(
    '$name',
    async ({ kind, call, name }) => {
      const count = await dieEverywhere(ground, kind, call, async (used, death) => {
        const { last, ports } = mortal(run, death, () => {
          throw new Error('the process died');
        });
        await make(ground.restarted(ports), call, used).catch(() => undefined);
        return last();
      });
      tell(`deaths in ${name}: ${count}`);
    },
    limitMs,
  );
});

const victim = fileURLToPath(new URL('../../support/node/victim.ts', import.meta.url));
const compiled = fileURLToPath(new URL('../../../node_modules/.cache/compiled', import.meta.url));

/** A driver process that is killed at a step, which it names; undefined when it came to its end before that. */
async function killed(call: Call, used: Used, death: Death): Promise<string | undefined> {
  const { directory, store } = ground;
  const order: Order = { directory, rootId: store.id, self, call, used, ...death };
  const env = { ...process.env, NODE_COMPILE_CACHE: compiled };
  const child = spawn(process.execPath, [victim, JSON.stringify(order)], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env,
  });
  const step = text(child.stdout);
  const [status, signal] = (await once(child, 'exit')) as [number | null, string | null];
  if (signal === 'SIGKILL') return step;
  expect(status).toBe(0);
  return undefined;
}

describe('case 85: kill -9 of the driver at every step of a call', () => {
  const cases = casesOf(['ext4', 'stage'], ['block', 'unpublish'], ['xfs', 'expand']);
  test.each(cases)(
    '$name',
    async ({ kind, call, name }) => {
      const count = await dieEverywhere(ground, kind, call, (used, death) =>
        killed(call, used, death),
      );
      tell(`kills of the driver in ${name}: ${count}`);
    },
    limitMs,
  );
});

/** The same Run, but the n-th command is killed at once, half way, or reported so when it was just done. */
function killingAt(at: number, moment: string) {
  let count = 0;
  const killing: Run = async (argv, kind, options) => {
    count += 1;
    if (count !== at) return run(argv, kind, options);
    if (moment !== 'after') return run(['timeout', '-s', 'KILL', moment, ...argv], kind, options);
    await run(argv, kind, options);
    throw new Error('killed after its work');
  };
  return { run: killing, reached: () => count >= at };
}

describe('case 85: kill -9 of a command of a call, at once, half way and when it was just done', () => {
  const cases = casesOf(['xfs', 'stage'], ['read-only block', 'publish'], ['btrfs', 'expand']);
  test.each(cases)(
    '$name',
    async ({ kind, call, name }) => {
      const found = { points: 0, reached: true };
      for (let at = 1; found.reached; at += 1)
        for (const moment of ['0.001', '0.004', '0.02', 'after'])
          await life(ground, kind, {
            call,
            once: async (used) => {
              const { run: killing, reached } = killingAt(at, moment);
              await make(ground.restarted({ run: killing }), call, used).catch(() => undefined);
              found.reached = reached();
              if (found.reached) found.points += 1;
            },
          });
      tell(`kills of a command in ${name}: ${found.points}`);
    },
    limitMs,
  );
});
