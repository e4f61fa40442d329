import { expect, test } from 'vitest';
import { isFault, messageOf } from '../../src/model/fault.ts';
import { serverOn } from '../support/memory/driver.ts';
import { dropGroup, groupScenarios } from '../support/memory/groups.ts';
import { newWorld, quiet, type Scenario } from '../support/memory/world.ts';

const [taking] = groupScenarios;
if (!taking) throw new Error('there is no scenario');
const scenario: Scenario = taking;

/** One server is held up at a call while another one answers the same request; resolves to what the first one says. */
async function askTwice(n: number): Promise<{ ended: boolean; wrong: readonly string[] }> {
  const world = await newWorld();
  const { gpfs, driver } = world;
  const other = serverOn(gpfs.server('b1'), 'b1');
  await scenario.prepare(world);
  await other.roots.all();
  await quiet(gpfs);
  const release = gpfs.stallAt(n);
  const before = gpfs.calls;
  const sleeper = scenario.act(driver, world).catch((error: unknown) => error);
  await quiet(gpfs);
  const ended = gpfs.calls - before < n;
  const second = scenario.act(other, world).catch((error: unknown) => error);
  await quiet(gpfs);
  release();
  const wrong = (await Promise.all([sleeper, second]))
    .filter((answer) => answer !== scenario.answer && !isFault(answer, 'busy'))
    .map(messageOf);
  await dropGroup(other, 'g');
  return { ended, wrong };
}

test('the same group asked of two servers at once is made, or busy, and never in its own way', async () => {
  const failed: string[] = [];
  let n = 1;
  for (; ; n++) {
    const { ended, wrong } = await askTwice(n);
    if (ended) break;
    for (const each of wrong) failed.push(`call ${n}: ${each}`);
  }
  expect(n).toBeGreaterThan(60);
  expect(failed).toEqual([]);
});
