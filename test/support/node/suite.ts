import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import type { Bytes } from '../../../src/model/bytes.ts';
import type { Capability } from '../../../src/model/capability.ts';
import { newGround, type Below, type Ground } from './ground.ts';

/** Gives a suite its ground. After each test nothing may be left on it; after the last test it is removed. */
export function onGround(use: (ground: Ground) => void, below?: Below): void {
  let ground: Ground;
  beforeAll(async () => {
    ground = await newGround(below);
    use(ground);
  });
  afterEach(async () => {
    // The kernel detaches a device when its last opener closes it, and other programs look at all devices.
    await expect.poll(() => ground.leaks(), { timeout: 10_000 }).toEqual([]);
  });
  afterAll(async () => {
    await ground.close();
  });
}

/** A volume that is staged; `done` unpublishes it at these targets and unstages it. */
export async function stagedOn(ground: Ground, capability: Capability, bytes: Bytes) {
  const ready = await ground.ready(capability, bytes);
  await ground.node.stage(ready.ask);
  const done = async (...targets: string[]) => {
    for (const target of targets) await ground.node.unpublish(ready.volume.id, target);
    await ground.node.unstage(ready.volume.id, ready.ask.stagingPath);
  };
  return { ...ready, done };
}
