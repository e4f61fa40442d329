import type { Run } from '../../../run/run.ts';
import { loopDevices } from '../state/open-files.ts';

/** All loop devices of one file, whatever path they were attached by. */
export async function attachments(run: Run, file: string): Promise<readonly string[]> {
  const byInode = await listed(run, ['-O', 'NAME', '-j', file]);
  // losetup compares inodes, so it does not find the devices of a removed file.
  const removed = loopDevices()
    .filter(({ backing }) => backing === `${file} (deleted)`)
    .map(({ device }) => device);
  return [...new Set([...byInode.map(([device]) => device), ...removed])];
}

/** Loop devices whose files are on the file system with this `major:minor`. */
export async function attachmentsOn(run: Run, device: string): Promise<readonly string[]> {
  const all = await listed(run, ['-O', 'NAME,BACK-MAJ:MIN']);
  return all.filter(([, number]) => number === device).map(([loop]) => loop);
}

type Listed = readonly [loop: string, number: string | undefined];

// In raw output, losetup pads numbers with escaped blanks.
const listed = async (run: Run, which: readonly string[]): Promise<readonly Listed[]> =>
  (await run(['losetup', '--noheadings', '--raw', ...which], 'read'))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [loop = '', number] = line.split(' ');
      return [loop, number?.replaceAll('\\x20', '')];
    });
