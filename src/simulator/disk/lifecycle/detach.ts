import { setTimeout as sleep } from 'node:timers/promises';
import type { Run } from '../../../run/run.ts';
import { loopDevices } from '../state/open-files.ts';

// While a scanner has a device open, the kernel detaches the device only when the scanner closes it.
const patienceMs = 5000;
const stepMs = 20;

/**
 * Detaches loop devices from their files and waits until the kernel has done so. `free` ends the use of a device. A
 * device that no longer has the same file is left alone: another program may have taken its number.
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
