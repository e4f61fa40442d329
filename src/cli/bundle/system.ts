import { release, version, machine, totalmem, freemem, uptime } from 'node:os';
import type { Gpfs } from '../../gpfs/commands.ts';
import { messageOf } from '../../model/fault.ts';
import { mountOf, type Mounts } from '../../run/mounts.ts';
import type { LocateProgram } from '../../run/programs.ts';
import type { Run } from '../../run/run.ts';

/** Lines of the kernel that are about loop devices and file systems. */
const ofStorage =
  /\b(?:loop\d+|EXT4-fs|XFS|JBD2|GPFS|mmfs\w*|I\/O error|blk_update_request|Remounting filesystem)\b/;

/** What the kernel said about loop devices and file systems, and nothing else of it. */
export async function kernelLines(run: Run): Promise<string> {
  const all = await run(['dmesg'], 'read');
  const lines = all.split('\n').filter((line) => ofStorage.test(line));
  return lines.length > 0
    ? `${lines.join('\n')}\n`
    : 'no line is about loop devices or file systems\n';
}

/** Tools that print their version on standard output. */
const versions: readonly (readonly [string, string])[] = [
  ['losetup', '-V'],
  ['mount', '-V'],
  ['blkid', '-V'],
  ['mkfs.xfs', '-V'],
  ['qemu-img', '--version'],
];

const others = ['mkfs.ext4', 'e2fsck', 'resize2fs', 'tune2fs', 'xfs_growfs', 'nsenter'];

/** The kernel, Node, and the tools of the host. */
export async function systemFacts(run: Run, place: LocateProgram): Promise<object> {
  const tools: Record<string, string> = {};
  for (const [name, flag] of versions)
    tools[name] = await run([name, flag], 'read').then(
      (said) => said.trim().slice(0, 200),
      messageOf,
    );
  for (const name of others) tools[name] = await place([name]).then(([path]) => path, messageOf);
  return {
    kernel: { release: release(), version: version(), machine: machine() },
    node: process.versions.node,
    memory: { total: totalmem(), free: freemem() },
    upSeconds: Math.round(uptime()),
    tools,
  };
}

/** What GPFS says to the questions that the driver knows; each that fails says why. None of them changes anything. */
export async function gpfsFacts(
  { gpfs, mounts }: { readonly gpfs: Gpfs; readonly mounts: Mounts },
  roots: readonly string[],
): Promise<object> {
  const answers: Record<string, unknown> = {
    mmgetstate: await answer(gpfs.state()),
    mmlsconfig: await answer(gpfs.config()),
  };
  const table = await mounts();
  const sources = new Set(roots.flatMap((root) => mountOf(table, root)?.source ?? []));
  for (const source of sources) {
    answers[`mmlsfs ${source}`] = await answer(gpfs.fs(source));
    answers[`mmlspool ${source}`] = await answer(gpfs.pools(source));
  }
  for (const root of roots) answers[`mmlsattr ${root}`] = await answer(gpfs.attributes(root));
  return answers;
}

const answer = (asked: Promise<unknown>): Promise<unknown> =>
  asked.catch((error: unknown) => ({ failed: messageOf(error) }));
