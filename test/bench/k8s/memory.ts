import { readFile, readdir } from 'node:fs/promises';
import type { Figure } from '../part.ts';

interface Process {
  readonly what: string;
  readonly mebibytes: number;
}

const sidecars = ['csi-provisioner', 'csi-attacher', 'csi-snapshotter', 'csi-resizer'];

/** Resident memory of the driver and of each sidecar; of several processes of a kind, the largest. */
export async function memory(when: string, driverBelow?: number): Promise<readonly Figure[]> {
  const all = await processes();
  return ['driver', ...sidecars].map((what) => ({
    what: `resident ${when}, ${what}`,
    value: Math.max(...all.filter((each) => each.what === what).map(({ mebibytes }) => mebibytes)),
    unit: 'MiB',
    ...(what === 'driver' && driverBelow !== undefined ? { below: driverBelow } : {}),
  }));
}

async function processes(): Promise<readonly Process[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map((pid) => look(pid).catch(() => undefined)));
  return found.filter((each) => each !== undefined);
}

async function look(pid: string): Promise<Process | undefined> {
  const what = whatIs((await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0'));
  if (what === undefined) return undefined;
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  return kibibytes === undefined ? undefined : { what, mebibytes: Number(kibibytes) / 1024 };
}

// The driver lies in /opt of its image; what it starts are other programs.
function whatIs(words: readonly string[]): string | undefined {
  if (words.includes('/opt/gpfs-csi/gpfs-csi.js') && words.includes('serve')) return 'driver';
  const program = words[0]?.split('/').at(-1) ?? '';
  return sidecars.includes(program) ? program : undefined;
}
