import type { Run } from '../../../run/run.ts';
import { loopDevices } from '../state/open-files.ts';

/** Loop devices of one file, whoever attached it and by whichever path. */
export async function attachments(run: Run, file: string): Promise<readonly string[]> {
  const byInode = await listed(run, ['-O', 'NAME', '-j', file]);
  // One that was removed has no inode to look for any more.
  const removed = loopDevices()
    .filter(({ backing }) => backing === `${file} (deleted)`)
    .map(({ device }) => device);
  return [...new Set([...byInode.map(([device]) => device), ...removed])];
}

/** Loop devices whose files are on this file system, by its `major:minor`. */
export async function attachmentsOn(run: Run, device: string): Promise<readonly string[]> {
  const all = await listed(run, ['-O', 'NAME,BACK-MAJ:MIN']);
  return all.filter(([, number]) => number === device).map(([loop]) => loop);
}

type Listed = readonly [loop: string, number: string | undefined];

// Raw output pads numbers with escaped blanks.
const listed = async (run: Run, which: readonly string[]): Promise<readonly Listed[]> =>
  (await run(['losetup', '--noheadings', '--raw', ...which], 'read'))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [loop = '', number] = line.split(' ');
      return [loop, number?.replaceAll('\\x20', '')];
    });
