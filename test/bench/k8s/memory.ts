import { running, sidecarPrograms } from '../../e2e/running.ts';
import type { Figure } from '../part.ts';

/** Resident memory of the driver and of each sidecar; of several processes of a kind, the largest. */
export async function memory(when: string, driverBelow?: number): Promise<readonly Figure[]> {
  const all = await running();
  return ['driver', ...sidecarPrograms].map((name) => ({
    what: `resident ${when}, ${name}`,
    value: Math.max(...all.filter(({ what }) => what === name).map(residentMebibytes)),
    unit: 'MiB',
    ...(name === 'driver' && driverBelow !== undefined ? { below: driverBelow } : {}),
  }));
}

const residentMebibytes = ({ status }: { readonly status: string }): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
