import { statSync } from 'node:fs';
import { ask } from '../ensure/run.mjs';

/** Detaches the loop devices that stand on files of a folder, and those that stand on these; names them. */
export function detachLoopsOf(folder) {
  const loops = list();
  const ours = loops.filter((each) => isIn(folder, each));
  for (const { device } of ours)
    ours.push(...loops.filter(({ on }) => on === device).filter((each) => !ours.includes(each)));
  for (const { name } of [...ours].reverse()) ask('losetup', ['--detach', name]);
  return ours.map(({ name }) => name);
}

// By inode: the path of a file in another mount namespace begins at the root of that namespace.
function isIn(folder, { on, inode }) {
  if (on !== deviceOf(folder)) return false;
  return Boolean(ask('find', [folder, '-xdev', '-inum', inode, '-print', '-quit']));
}

function deviceOf(folder) {
  const { dev } = statSync(folder, { bigint: true });
  // How Linux packs both numbers of a device into one.
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  return `${major}:${minor}`;
}

function list() {
  const columns = 'NAME,MAJ:MIN,BACK-MAJ:MIN,BACK-INO';
  return (ask('losetup', ['--list', '--noheadings', '--raw', '--output', columns]) ?? '')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [name, device, on, inode] = line.split(' ');
      return { name, device, on, inode };
    });
}
