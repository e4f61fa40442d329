import { setTimeout as sleep } from 'node:timers/promises';

import type { Run } from '../run/run.ts';
import { loopDevices } from './open-files.ts';

// A device that a scanner has open for a moment is let go only when that closes it.
const patienceMs = 5000;
const stepMs = 20;

/** Detaches a loop device from its file and waits until the kernel has done so. */
export async function detach(run: Run, device: string): Promise<void> {
  const backing = backingOf(device);
  await run(['losetup', '-d', device], 'write');
  for (let waited = 0; waited < patienceMs && backingOf(device) === backing; waited += stepMs) {
    await sleep(stepMs);
  }
}

const backingOf = (name: string): string | undefined =>
  loopDevices().find(({ device }) => device === name)?.backing;
