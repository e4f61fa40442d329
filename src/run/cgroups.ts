import { readFile, readlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseMountinfo } from './mounts.ts';

/** One line of /proc/PID/cgroup; `controllers` is empty in version 2. */
interface Membership {
  readonly controllers: string;
  readonly path: string;
}

/**
 * Moves this process into the cgroups of another one, given by its directory in /proc. The end of the driver's
 * container kills what is in its cgroup, and so no longer this process. Throws where that is not permitted.
 */
export async function joinCgroupsOf(procPath: string): Promise<void> {
  const self = join(dirname(procPath), 'self');
  // No process can enter a pid namespace above its own, so the pod must have that of the host.
  if ((await readlink(join(self, 'ns/pid'))) !== (await readlink(join(procPath, 'ns/pid'))))
    throw new Error(`this is not the pid namespace of ${procPath}; the pod needs hostPID`);
  const [own, wanted, mountinfo] = await Promise.all([
    memberships(self),
    memberships(procPath),
    readFile(join(procPath, 'mountinfo'), 'latin1'),
  ]);
  const mounts = parseMountinfo(mountinfo);
  for (const { controllers, path } of wanted) {
    if (own.some((each) => each.controllers === controllers && each.path === path)) continue;
    const point = mounts.find(({ type, superOptions }) =>
      controllers === ''
        ? type === 'cgroup2'
        : type === 'cgroup' && controllers.split(',').every((name) => superOptions.includes(name)),
    )?.point;
    if (point === undefined) throw new Error(`cgroup ${controllers}:${path} is not mounted`);
    // 0 means the process that writes it.
    await writeFile(join(procPath, 'root', point, path, 'cgroup.procs'), '0');
  }
}

const memberships = async (procPath: string): Promise<readonly Membership[]> =>
  (await readFile(join(procPath, 'cgroup'), 'utf8'))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [, controllers = '', ...path] = line.split(':');
      return { controllers, path: path.join(':') };
    });
