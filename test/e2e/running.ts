import { readFile, readdir } from 'node:fs/promises';

/** The sidecars of the chart. */
export const sidecarPrograms = [
  'csi-provisioner',
  'csi-attacher',
  'csi-snapshotter',
  'csi-resizer',
] as const;

/** A process of the chart's pods, as the kernel shows it. */
export interface Running {
  /** `driver`, or the name of the sidecar. */
  readonly what: string;
  readonly pid: string;
  /** Text of /proc/PID/status. */
  readonly status: string;
}

/** The driver and the sidecars, on all nodes. */
export async function running(): Promise<readonly Running[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  // A process may end while we read about it.
  const found = await Promise.all(pids.map((pid) => look(pid).catch(() => undefined)));
  return found.filter((each) => each !== undefined);
}

async function look(pid: string): Promise<Running | undefined> {
  const what = whatIs((await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0'));
  if (what === undefined) return undefined;
  return { what, pid, status: await readFile(`/proc/${pid}/status`, 'utf8') };
}

// The driver is in /opt of its image, so other programs of its pod are not the driver.
function whatIs(words: readonly string[]): string | undefined {
  if (words.includes('/opt/gpfs-csi/gpfs-csi.js') && words.includes('serve')) return 'driver';
  return sidecarPrograms.find((name) => words[0] === `/${name}`);
}
