import { ask } from '../ensure/run.mjs';

/** Detaches the loop devices that stand on files of a folder, and those that stand on these; names them. */
export function detachLoopsOf(folder) {
  const loops = list();
  const ours = loops.filter(({ file }) => file.includes(folder));
  for (const { device } of ours)
    ours.push(...loops.filter(({ on }) => on === device).filter((each) => !ours.includes(each)));
  for (const { name } of [...ours].reverse()) ask('losetup', ['--detach', name]);
  return ours.map(({ name }) => name);
}

function list() {
  const columns = 'NAME,MAJ:MIN,BACK-MAJ:MIN,BACK-FILE';
  return (ask('losetup', ['--list', '--noheadings', '--raw', '--output', columns]) ?? '')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [name, device, on, ...file] = line.split(' ');
      return { name, device, on, file: file.join(' ') };
    });
}
