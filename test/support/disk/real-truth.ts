import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync, readdirSync, type Dirent } from 'node:fs';
import { basename, join } from 'node:path';
import { errnoOf } from '../../../src/run/files.ts';
import { highestVersions } from '../../../src/store/layout.ts';

interface SeenFill {
  readonly allocatedBytes: string;
  readonly copiedBytes: string;
}

/** The fields that tests read of any record. */
interface Seen {
  readonly id: string;
  readonly state: string;
  readonly bytes: string;
  readonly parent: string | null;
  readonly depth?: number;
  readonly claim?: { readonly op: string; readonly fill?: SeenFill } | null;
  readonly image?: { readonly key: string; readonly inode: string } | null;
  readonly file?: { readonly key: string; readonly inode: string } | null;
}

const kinds = ['volumes', 'snapshots', 'hidden'] as const;
type Kind = (typeof kinds)[number];

/** The newest version of each record of a kind, read from the files without the driver. */
export const recordsOnDisk = (root: string, kind: Kind): readonly Seen[] =>
  shardsOf(join(root, '.gpfs-csi', 'records', kind)).flatMap((shard) => {
    // The driver may remove a version between our listing and our read: then a higher one exists.
    for (;;)
      try {
        return newestIn(shard);
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') throw error;
      }
  });

const newestIn = (shard: string): readonly Seen[] =>
  [...highestVersions(readdirSync(shard))].map(
    ([id, version]) => JSON.parse(readFileSync(join(shard, `${id}.${version}`), 'utf8')) as Seen,
  );

/** Absolute paths of all data files. */
export const filesOnDisk = (root: string, ...of: readonly Kind[]): readonly string[] =>
  namesOnDisk(root, ...of).flatMap((each) => (each.isDirectory() ? [] : [pathOf(each)]));

/** Directories that have the names of data files, so that no command makes these files. */
export const directoriesOnDisk = (root: string): readonly string[] =>
  namesOnDisk(root).flatMap((each) => (each.isDirectory() ? [pathOf(each)] : []));

const pathOf = ({ parentPath, name }: Dirent): string => join(parentPath, name);

const namesOnDisk = (root: string, ...of: readonly Kind[]): readonly Dirent[] =>
  (of.length === 0 ? kinds : of).flatMap((kind) =>
    shardsOf(join(root, kind)).flatMap((shard) => readdirSync(shard, { withFileTypes: true })),
  );

/** The image file of a volume, by the id that callers have. */
export function imageOnDisk(root: string, id: string): string {
  const local = id.slice(id.indexOf('.') + 1);
  const key = recordsOnDisk(root, 'volumes').find((record) => record.id === local)?.image?.key;
  const found = filesOnDisk(root).find((path) => basename(path) === key);
  if (found === undefined) throw new Error(`volume ${id} has no image`);
  return found;
}

function shardsOf(directory: string): readonly string[] {
  return readdirSync(directory).map((shard) => join(directory, shard));
}

/** Contradictions between files, graph, claims and states while no operation is under way; none when all is well. */
export function problemsOnDisk(root: string, bin: string): readonly string[] {
  const hidden = recordsOnDisk(root, 'hidden');
  const named = [...recordsOnDisk(root, 'volumes'), ...recordsOnDisk(root, 'snapshots')];
  const ready = named.filter(({ state }) => state === 'ready');
  const files = filesOnDisk(root).map((path) => basename(path));
  const needed = [...ready.map(keyOf), ...hidden.map(({ id }) => id)];
  const edges = recordedEdges(root);
  const truth = trueEdges(root, bin);
  const resting = ['ready', 'deleted', 'waiting'];
  return [
    ...beyond(files, needed).map((file) => `file ${file} has no record`),
    ...beyond(needed, files).map((file) => `file ${file} is missing`),
    ...beyond(edges, truth).map((edge) => `edge ${edge} is no more`),
    ...beyond(truth, edges).map((edge) => `edge ${edge} is not recorded`),
    ...named.flatMap(({ id, claim }) => (claim ? [`${id} is still claimed: ${claim.op}`] : [])),
    ...[...named, ...hidden]
      .filter(({ state }) => !resting.includes(state))
      .map(({ id, state }) => `${id} is ${state}`),
    ...hidden
      .filter(({ id }) => !edges.some((edge) => edge.startsWith(`${id} > `)))
      .map(({ id }) => `hidden ${id} has no children`),
    ...barredOnDisk(root).map((key) => `${key} is still barred`),
    ...directoriesOnDisk(root).map((path) => `${path} is a directory`),
    ...wrongFiles(root, ready),
  ];
}

/** Names of files that a server which was taken over could still try to make. */
export function barredOnDisk(root: string): readonly string[] {
  const notes = join(root, '.gpfs-csi', 'barred');
  return existsSync(notes) ? readdirSync(notes) : [];
}

const keyOf = ({ image, file }: Seen): string => (image ?? file)?.key ?? 'none';

const beyond = (all: readonly string[], known: readonly string[]): readonly string[] =>
  all.filter((each) => !known.includes(each));

function wrongFiles(root: string, ready: readonly Seen[]): readonly string[] {
  const paths = new Map(filesOnDisk(root).map((path) => [basename(path), path]));
  return ready.flatMap((record) => {
    const path = paths.get(keyOf(record));
    if (path === undefined) return [];
    const stat = lstatSync(path, { bigint: true });
    const inode = (record.image ?? record.file)?.inode;
    return [
      ...(String(stat.ino) === inode ? [] : [`${record.id} has inode ${stat.ino}, not ${inode}`]),
      ...(String(stat.size) === record.bytes ? [] : [`${record.id} has ${stat.size} bytes`]),
    ];
  });
}

const recordedEdges = (root: string): readonly string[] =>
  shardsOf(join(root, '.gpfs-csi', 'edges'))
    .flatMap(shardsOf)
    .flatMap((parent) => readdirSync(parent).map((child) => `${basename(parent)} > ${child}`));

/** As GPFS says it. */
function trueEdges(root: string, bin: string): readonly string[] {
  const paths = filesOnDisk(root);
  try {
    return paths.length === 0 ? [] : edgesOf(paths, bin);
  } catch (error) {
    // A server that still works removes files while this looks; what is left is another question.
    if (paths.every((path) => existsSync(path))) throw error;
    return trueEdges(root, bin);
  }
}

function edgesOf(paths: readonly string[], bin: string): readonly string[] {
  const names = new Map(paths.map((path) => [String(lstatSync(path).ino), basename(path)]));
  const output = execFileSync(join(bin, 'mmclone'), ['show', ...paths], { encoding: 'utf8' });
  return output.split('\n').flatMap((line) => {
    const [, parent, path] = /^\s*(?:yes|no)\s+\d+\s+(\d+)\s+(\/.*)$/.exec(line) ?? [];
    if (parent === undefined || path === undefined) return [];
    return [`${names.get(parent) ?? `nameless ${parent}`} > ${basename(path)}`];
  });
}
