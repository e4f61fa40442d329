import { setTimeout as sleep } from 'node:timers/promises';
import type { Run } from '../../../run/run.ts';
import { loopDevices } from '../state/open-files.ts';

// A device that a scanner has open for a moment is let go only when that closes it.
const patienceMs = 5000;
const stepMs = 20;

/**
 * Detaches loop devices from their files and waits until the kernel has done so. `free` ends what uses one. A device
 * that goes by itself meanwhile is left alone: its number may be somebody else's by then.
 */
export async function detachAll(
  run: Run,
  devices: readonly string[],
  free: (device: string) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const held = devices.map((device) => ({ device, backing: backingOf(device) }));
  for (const { device, backing } of held) {
    const isHeld = () => backing !== undefined && backingOf(device) === backing;
    if (isHeld()) await free(device);
    if (!isHeld()) continue;
    await run(['losetup', '-d', device], 'write');
    for (let waited = 0; waited < patienceMs && isHeld(); waited += stepMs) await sleep(stepMs);
  }
}

const backingOf = (name: string): string | undefined =>
  loopDevices().find(({ device }) => device === name)?.backing;
