import { basename } from 'node:path';
import { expect } from 'vitest';
import { textBlock } from '../../../src/simulator/memory/file-system.ts';
import { dataFiles, testRoot, type Cluster } from './driver.ts';

/** The fields that tests read of any record. */
export interface SeenRecord {
  readonly id: string;
  readonly state: string;
  readonly parent?: string | null;
  readonly claim?: unknown;
  readonly data?: string;
  readonly image?: { readonly key: string; readonly inode: string } | null;
  readonly file?: { readonly key: string; readonly inode: string } | null;
  readonly group?: { readonly id: string; readonly attempt: string };
  readonly attempt?: string;
  readonly members?: readonly { readonly volume: string; readonly snapshot: string }[];
  readonly attachments?: readonly { readonly node: string; readonly state?: string }[];
}

type Kind = 'volumes' | 'snapshots' | 'groups' | 'hidden';

/** The newest version of each record of a kind, read without the ports. */
export function recordsIn(gpfs: Cluster, kind: Kind): readonly SeenRecord[] {
  const newest = new Map<string, { version: number; path: string }>();
  const form = new RegExp(`^${testRoot}/\\.gpfs-csi/records/${kind}/[0-9a-f]{3}/(.*)\\.(\\d+)$`);
  for (const path of gpfs.paths()) {
    const [, id = '', text = ''] = form.exec(path) ?? [];
    const version = Number(text);
    if (version > (newest.get(id)?.version ?? 0)) newest.set(id, { version, path });
  }
  return [...newest.values()].map(
    ({ path }) => JSON.parse(gpfs.readBlock(path, textBlock) ?? '') as SeenRecord,
  );
}

/** The one data file with this key. */
export const fileOf = (gpfs: Cluster, key: string): string => {
  const found = dataFiles(gpfs).filter((path) => basename(path) === key);
  expect(found, `files of ${key}`).toHaveLength(1);
  return `${testRoot}/${found[0] ?? ''}`;
};

/** Objects of users, such as `volumes/pvc-1`, each with the key of its data file. */
export function living(gpfs: Cluster): ReadonlyMap<string, string> {
  const of = (kind: 'volumes' | 'snapshots') =>
    recordsIn(gpfs, kind).flatMap(({ id, state, image, file }): [string, string][] => {
      const key = (image ?? file)?.key;
      return state === 'ready' && key !== undefined ? [[`${kind}/${id}`, key]] : [];
    });
  return new Map([...of('volumes'), ...of('snapshots')]);
}

/** The first block of everything a user has. */
export const contents = (gpfs: Cluster): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...living(gpfs)]
      .map(([name, key]) => [name, gpfs.readBlock(fileOf(gpfs, key), 0) ?? ''] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );

/** Writes the first block of a volume. */
export function writeVolume(gpfs: Cluster, id: string, value: string): void {
  const key = living(gpfs).get(`volumes/${id}`);
  gpfs.write(fileOf(gpfs, key ?? ''), 0, value);
}

/** Contradictions between files, graph, claims and states while no operation is under way; none when all is well. */
export function problemsIn(gpfs: Cluster): readonly string[] {
  const hidden = recordsIn(gpfs, 'hidden');
  const groups = recordsIn(gpfs, 'groups');
  const named = [...recordsIn(gpfs, 'volumes'), ...recordsIn(gpfs, 'snapshots'), ...groups];
  const files = dataFiles(gpfs).map((path) => basename(path));
  const needed = [...living(gpfs).values(), ...hidden.map(({ id }) => id)];
  const edges = edgesIn(gpfs);
  const truth = trueEdges(gpfs);
  const resting = ['ready', 'deleted', 'waiting'];
  const childless = ({ id }: SeenRecord) => !edges.some((edge) => edge.startsWith(`${id} > `));
  return [
    ...beyond(files, needed).map((file) => `file ${file} has no record`),
    ...beyond(needed, files).map((file) => `file ${file} is missing`),
    ...beyond(edges, truth).map((edge) => `edge ${edge} is no more`),
    ...beyond(truth, edges).map((edge) => `edge ${edge} is not recorded`),
    ...brokenGroups(gpfs),
    ...named.filter(({ claim }) => claim !== null).map(({ id }) => `${id} is still claimed`),
    ...[...named, ...hidden]
      .filter(({ state }) => !resting.includes(state))
      .map(({ id, state }) => `${id} is ${state}`),
    ...hidden.filter(childless).map(({ id }) => `hidden ${id} has no children`),
    ...barredIn(gpfs),
    ...wrongInodes(gpfs),
  ];
}

/** Names that servers barred and nobody has freed. */
const barredIn = (gpfs: Cluster): readonly string[] =>
  gpfs
    .paths()
    .filter((path) => path.startsWith(`${testRoot}/.gpfs-csi/barred/`))
    .map((path) => `${basename(path)} is still barred`);

/** A group exists with all its snapshots, and no snapshot belongs to a group that does not exist. */
function brokenGroups(gpfs: Cluster): readonly string[] {
  const ready = ({ state }: SeenRecord) => state === 'ready';
  const snapshots = recordsIn(gpfs, 'snapshots').filter(ready);
  const groups = recordsIn(gpfs, 'groups').filter(ready);
  const isIn = (group: SeenRecord, { id, group: of }: SeenRecord) =>
    of?.id === group.id &&
    of.attempt === group.attempt &&
    group.members?.some(({ snapshot }) => snapshot === id) === true;
  return [
    ...groups
      .filter(
        (group) => snapshots.filter((each) => isIn(group, each)).length !== group.members?.length,
      )
      .map(({ id }) => `group ${id} is not whole`),
    ...snapshots
      .filter((each) => each.group && !groups.some((group) => isIn(group, each)))
      .map(({ id }) => `snapshot ${id} is of a group that is none`),
  ];
}

/** Every record has its file, every file its record, the graph is that of GPFS, and nothing is half done. */
export const expectSound = (gpfs: Cluster): void => {
  expect(problemsIn(gpfs)).toEqual([]);
};

const beyond = (all: readonly string[], known: readonly string[]): readonly string[] =>
  all.filter((each) => !known.includes(each));

const wrongInodes = (gpfs: Cluster): readonly string[] =>
  [...recordsIn(gpfs, 'volumes'), ...recordsIn(gpfs, 'snapshots')].flatMap((record) => {
    const file = record.image ?? record.file;
    if (record.state !== 'ready' || !file) return [];
    const open = gpfs.open(fileOf(gpfs, file.key), 'read');
    open.close();
    return open.inode === file.inode ? [] : [`${record.id} has inode ${file.inode}`];
  });

const edgesIn = (gpfs: Cluster): readonly string[] =>
  gpfs
    .paths()
    .flatMap((path) => {
      const [, parent, child] = /\/\.gpfs-csi\/edges\/[^/]+\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
      return parent !== undefined && child !== undefined ? [`${parent} > ${child}`] : [];
    })
    .sort();

function trueEdges(gpfs: Cluster): readonly string[] {
  const tree = gpfs.tree();
  const name = (path: string | undefined) => basename(path ?? 'nameless');
  return [...tree.values()]
    .flatMap(({ path, parent }) =>
      parent === undefined ? [] : [`${name(tree.get(parent)?.path)} > ${name(path)}`],
    )
    .sort();
}
