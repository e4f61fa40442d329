import { gpfsCommands } from '../../../src/gpfs/commands.ts';
import { severities } from '../../../src/model/audit/facts.ts';
import { audit } from '../../../src/service/doctor/audit.ts';
import { repair } from '../../../src/service/doctor/repair.ts';
import type { RootStore } from '../../../src/store/root.ts';
import { toText } from '../../../src/store/json.ts';
import { highestVersions, versionName, type RecordKind } from '../../../src/store/layout.ts';
import { from, snap, spec, testRoot, type Cluster } from './driver.ts';
import { attach, newWorld, quiet, type World } from './world.ts';
import { fileOf, living, writeVolume } from './truth.ts';

/** A worn forest: `v` with snapshots `s1` and `s2`, a deleted one between them, restore `r`, clone `c`, and `lone`. */
export interface Forest extends World {
  readonly store: RootStore;
  /** The path of an object's file: `volumes/v`. */
  path(name: string): string;
}

/** Builds the forest with one server, and lets a day pass. */
export async function forest(): Promise<Forest> {
  const world = await newWorld();
  const { gpfs, driver, ids } = world;
  const { volumes, snapshots } = driver;
  const id = (name: string) => ({ id: ids.get(name) ?? '' });
  const volume = async (name: string, rest = {}) => {
    ids.set(name, (await volumes.create(spec(name, rest))).id);
  };
  const cut = async (name: string, of: string, value: string) => {
    ids.set(name, (await snapshots.create(snap(name, id(of)))).id);
    writeVolume(gpfs, of, value);
  };
  await volume('lone');
  writeVolume(gpfs, 'lone', 'lone');
  await volume('v');
  writeVolume(gpfs, 'v', 'v');
  await cut('s1', 'v', 'v1');
  await cut('dead', 'v', 'v2');
  await cut('s2', 'v', 'v3');
  await volume('r', { source: from('snapshot', id('s1')) });
  // Stands for a pod that has written since, so that a clone gets its own parent.
  await driver.attachments.publish(attach(id('v').id));
  await driver.attachments.unpublish(id('v').id, 'a1');
  await volume('c', { source: from('volume', id('v')) });
  await snapshots.remove(id('dead').id);
  gpfs.clock.tick(24 * 3_600_000 - 1);
  const [store] = await driver.roots.all();
  if (!store) throw new Error('the root is not there');
  await store.nodes.beat('a1');
  await quiet(gpfs);
  const path = (name: string) => fileOf(gpfs, living(gpfs).get(name) ?? name);
  return { ...world, store, path };
}

/** What doctor finds, `kind: object` each. */
export async function found({ gpfs, store }: Pick<Forest, 'gpfs' | 'store'>) {
  const { clone } = gpfsCommands(gpfs.run);
  const { findings } = await audit({ clone, clock: gpfs.clock }, store);
  return findings;
}

/** What a repair did, a sentence each. */
export async function repaired(
  { gpfs, store }: Pick<Forest, 'gpfs' | 'store'>,
  minAgeMs = 3_600_000,
): Promise<readonly string[]> {
  const sentences: string[] = [];
  const { clone } = gpfsCommands(gpfs.run);
  const onRepair = (sentence: string) => void sentences.push(sentence);
  const sectorBytes = () => Promise.resolve(4096 as const);
  const { clock, nonce } = gpfs;
  await repair({ clone, clock, nonce, sectorBytes, minAgeMs, onRepair }, store);
  return sentences;
}

/** Replaces the newest version of a record, as an administrator with an editor would. */
export async function edit(
  { gpfs, store }: Pick<Forest, 'gpfs' | 'store'>,
  kind: RecordKind,
  id: string,
  change: (record: Readonly<Record<string, unknown>>) => object | string,
): Promise<string> {
  const shard = store.layout.recordShard(kind, id);
  const version = highestVersions(await gpfs.files.list(shard)).get(id) ?? 0;
  const path = `${shard}/${versionName(id, version)}`;
  const changed = change(JSON.parse(await gpfs.files.read(path)) as Record<string, unknown>);
  await gpfs.files.unlink(path);
  const text = typeof changed === 'string' ? changed : toText(changed);
  await gpfs.files.createDurable(path, text, 0o640);
  return path;
}

/** Removes a directory of the driver's state and all below it. */
export async function removeState(gpfs: Cluster, ...names: readonly string[]): Promise<void> {
  for (const name of names) {
    const below = gpfs.paths().filter((path) => path.startsWith(`${testRoot}/.gpfs-csi/${name}/`));
    for (const path of below) await gpfs.files.unlink(path);
  }
}

/** Inodes of all data, wherever they lie now. */
export const dataInodes = ({ gpfs }: Forest): ReadonlySet<string> =>
  new Set(
    gpfs
      .paths()
      .filter((path) => /\/(?:volumes|snapshots|hidden)\//.test(path) && !path.includes('records/'))
      .concat(gpfs.paths().filter((path) => /csi-data\/(?:saved|mine)$/.test(path)))
      .map((path) => {
        const file = gpfs.open(path, 'read');
        file.close();
        return file.inode;
      }),
  );

/** `kind: object` of all that is found. */
export const kinds = async (world: Pick<Forest, 'gpfs' | 'store'>) =>
  (await found(world)).map(({ kind, object }) => `${kind}: ${object}`);

/** Findings without the notes. */
export const wrong = async (world: Pick<Forest, 'gpfs' | 'store'>) =>
  (await found(world)).filter(({ kind }) => severities[kind] !== 'note');
