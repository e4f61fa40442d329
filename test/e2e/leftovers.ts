import { existsSync, readFileSync } from 'node:fs';
import { cgroupsOf, bridge } from './cluster/network.ts';
import { nodes } from './cluster/node.ts';
import { gpfsFolder, runFolder } from './setup/places.ts';
import { attempt, sh } from './setup/shell.ts';

/** What a cluster that was taken down left on this machine, each thing as a line. */
export async function leftovers(): Promise<readonly string[]> {
  const folders = [runFolder, gpfsFolder, ...nodes.flatMap(({ name }) => cgroupsOf(name))];
  return [
    ...folders.filter((folder) => existsSync(folder)),
    ...mounts(),
    ...(await loops()),
    ...(await links()),
    ...(await processes()),
  ];
}

const ours = (text: string): boolean => text.includes(runFolder) || text.includes(gpfsFolder);

const mounts = (): readonly string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter(ours);

async function loops(): Promise<readonly string[]> {
  const out = await sh(['losetup', '-l', '-n', '-O', 'NAME,BACK-FILE']);
  return out.split('\n').filter(ours);
}

async function links(): Promise<readonly string[]> {
  const out = (await attempt(['ip', '-o', 'link'])) ?? '';
  return out.split('\n').filter((line) => line.includes(bridge));
}

// Programs of a run have its folder in their arguments.
async function processes(): Promise<readonly string[]> {
  const out = await sh(['ps', '-eo', 'pid,args']);
  return out.split('\n').filter((line) => ours(line));
}
