import type { CompactionOptions } from '../../../src/service/host.ts';
import type { Driver } from '../../../src/service/driver.ts';
import { blockBytes } from '../../../src/simulator/memory/visible-files.ts';
import type { Personality } from '../../../src/simulator/core/personality.ts';
import {
  clusterWithRoot,
  dataFiles,
  from,
  serverOn,
  snap,
  spec,
  testRoot,
  type Cluster,
} from './driver.ts';
import { fileOf, living, recordsIn } from './truth.ts';

export const blocks = 16;
const range = { requiredBytes: BigInt(blocks) * blockBytes, limitBytes: 0n };

export interface Site {
  readonly gpfs: Cluster;
  readonly driver: Driver;
  readonly root: string;
}

export async function site(
  options: Partial<CompactionOptions> = {},
  personality: Partial<Personality> = {},
): Promise<Site> {
  const gpfs = await clusterWithRoot({ personality });
  const driver = serverOn(gpfs, 'a1', { compaction: options });
  const [store] = await driver.roots.all();
  return { gpfs, driver, root: store?.id ?? '' };
}

export const idOf = ({ root }: Site, name: string) => ({ id: `${root}.${name}` });

/** Writes these blocks of a volume; each gets the text. */
export function write(
  { gpfs }: Site,
  name: string,
  text: string,
  ...which: readonly number[]
): void {
  const path = fileOf(gpfs, living(gpfs).get(`volumes/${name}`) ?? '');
  for (const block of which) gpfs.write(path, block, text);
}

export const bytesOf = ({ gpfs }: Site, name: string): readonly (string | undefined)[] => {
  const path = fileOf(gpfs, living(gpfs).get(name) ?? '');
  return Array.from({ length: blocks }, (_, block) => gpfs.readBlock(path, block));
};

export const all = Array.from({ length: blocks }, (_, block) => block);

export async function create(site: Site, name: string, parameters: Record<string, string> = {}) {
  await site.driver.volumes.create(spec(name, { range, parameters }));
  write(site, name, name, ...all);
}

export const cut = (site: Site, name: string, of: string) =>
  site.driver.snapshots.create(snap(name, idOf(site, of)));
export const drop = (site: Site, name: string) => site.driver.snapshots.remove(idOf(site, name).id);
export const restore = (site: Site, name: string, of: string) =>
  site.driver.volumes.create(
    spec(name, { source: from('snapshot', idOf(site, of)), range: undefined }),
  );

export const hidden = ({ gpfs }: Site): number => recordsIn(gpfs, 'hidden').length;
export const redirects = ({ gpfs }: Site): number =>
  gpfs.counts.commands.get('mmclone redirect') ?? 0;

/** Why an item of the queue waits; by its name. */
export async function waiting({ driver }: Site): Promise<Readonly<Record<string, string>>> {
  const [store] = await driver.roots.all();
  const items = [...((await store?.queue.waiting()) ?? [])];
  return Object.fromEntries(items.map(([name, { why }]) => [name, why]));
}

/** Blocks that all data files hold together. */
export const filledBlocks = ({ gpfs }: Site): number =>
  dataFiles(gpfs).reduce((sum, path) => sum + gpfs.heldBlocks(`${testRoot}/${path}`), 0);
