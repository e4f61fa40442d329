import { readdir, readFile } from 'node:fs/promises';
import { list, pathOf, valueAt } from './api.ts';
import { initOf, nodes } from './cluster/node.ts';
import { gpfsMount } from './gpfs.ts';
import { rootFolder } from './setup/places.ts';
import { sh } from './setup/shell.ts';

/** Loop devices on files of the simulated GPFS. */
export async function volumeLoops(): Promise<readonly string[]> {
  const out = await sh(['losetup', '-l', '-n', '-O', 'NAME,BACK-FILE']);
  return out.split('\n').filter((line) => line.includes(` ${gpfsMount}/`));
}

/** Mounts of volumes, on any node. */
export async function volumeMounts(): Promise<readonly string[]> {
  const found = await Promise.all(
    nodes.map(async (node) => {
      const text = await readFile(`/proc/${initOf(node)}/mountinfo`, 'utf8');
      const points = text.split('\n').map((line) => line.split(' ')[4] ?? '');
      const own = points.filter((point) => /kubernetes\.io[~/]csi|gpfs-clone\.csi/.test(point));
      return own.map((point) => `${node.name}:${point}`);
    }),
  );
  return found.flat();
}

/** Data files of volumes, snapshots and hidden parents in the root. */
export async function dataFiles(): Promise<readonly string[]> {
  const folders = ['volumes', 'snapshots', 'hidden'];
  const lists = await Promise.all(
    folders.map(async (folder) => {
      const options = { recursive: true, withFileTypes: true } as const;
      const all = await readdir(`${rootFolder}/${folder}`, options).catch(() => []);
      return all.filter((each) => each.isFile()).map((each) => `${folder}/${each.name}`);
    }),
  );
  return lists.flat();
}

/** Volumes, snapshot contents and attachments that the cluster knows. */
async function clusterObjects(): Promise<readonly string[]> {
  const kinds = ['pv', 'volumesnapshotcontent', 'volumeattachment'];
  const lists = await Promise.all(
    kinds.map(async (kind) => {
      const all = await list(pathOf(kind, ''));
      return all.map(({ metadata }) => `${kind}/${metadata.name}`);
    }),
  );
  return lists.flat();
}

/** What the cluster still knows of the volumes of one driver. */
export async function objectsOf(driver: string): Promise<readonly string[]> {
  const owners = {
    pv: '.spec.csi.driver',
    volumesnapshotcontent: '.spec.driver',
    volumeattachment: '.spec.attacher',
  };
  const lists = await Promise.all(
    Object.entries(owners).map(async ([kind, path]) => {
      const all = await list(pathOf(kind, ''));
      const own = all.filter((each) => valueAt(each, path) === driver);
      return own.map(({ metadata }) => `${kind}/${metadata.name}`);
    }),
  );
  return lists.flat();
}

/** All that volumes have on this machine and in the cluster. */
export const traces = async (): Promise<readonly string[]> =>
  (await Promise.all([clusterObjects(), volumeMounts(), volumeLoops(), dataFiles()])).flat();
