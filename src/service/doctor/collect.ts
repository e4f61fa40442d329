import { basename, join } from 'node:path';
import type { CloneCommands } from '../../gpfs/mmclone.ts';
import type { AuditData, AuditFacts, FileFact } from '../../model/audit/facts.ts';
import type { Clock } from '../../run/clock.ts';
import { undefinedWhenMissing, type FileStat } from '../../run/files.ts';
import { undefinedWhenUnreadable } from '../../store/json.ts';
import { isKey } from '../../store/layout.ts';
import { isDeadMark } from '../../store/marks.ts';
import type { RootStore } from '../../store/root.ts';
import { inParallel } from '../../run/parallel.ts';
import { readRecords } from './record-facts.ts';
import { straysIn } from './strays.ts';

/** What an audit needs. */
export interface AuditHost {
  readonly clone: Pick<CloneCommands, 'showAll'>;
  readonly clock: Clock;
}

const datas: readonly AuditData[] = ['volumes', 'snapshots', 'hidden'];

/** Files per command, and commands at once: few, so that an audit does not slow down the servers. */
const perCommand = 100;
const commandsAtOnce = 3;

/** The facts of one root as it is now, with what GPFS reports of each file. */
export async function collect(host: AuditHost, store: RootStore): Promise<AuditFacts> {
  // Records first: a file that a server makes now has a claim in them; a file removed now is missing in the later list.
  const { records, broken } = await readRecords(store, host.clock);
  const strays = await straysIn(store, host.clock);
  const edges = await edgesIn(store, host.clock);
  // Read twice: a server makes the note before the directory, and removes the directory before the note.
  const barredBefore = await store.barred.all();
  const seen = (await Promise.all(datas.map((data) => filesIn(store, data, host.clock)))).flat();
  const barred = await store.barred.all();
  const names = new Set([...barredBefore, ...barred].map(({ key }) => String(key)));
  const files = seen.filter(({ isFile, name }) => isFile || !names.has(name));
  const aside = await filesBelow(store, store.layout.quarantine);
  const clones = await showFiles(host, [
    ...files.flatMap(({ path, isFile }) => (isFile ? [path] : [])),
    ...aside,
  ]);
  return {
    records,
    broken: [...broken, ...strays.broken],
    strays: strays.strays,
    moved: new Set(await namesIn(store, join(store.layout.state, 'moved'))),
    edges,
    // After the edges: a server notes a copy first, so an edge without one would look like an edge to a removed file.
    copies: await store.copies.all(),
    files: files.map((file) => ({ ...file, clone: clones.get(file.path) })),
    aside: aside.map((path) => ({ path, clone: clones.get(path) })),
    barred: barred.map(({ key, claim }) => ({ key, node: claim.node })),
    marks: await marksIn(store),
    temporaries: await temporariesIn(store, host.clock),
    linkCount: (await store.abilities.read()).linkCount,
  };
}

/** What GPFS reports of many files, with few commands at a time; one removed meanwhile is missing. */
export async function showFiles(
  { clone }: Pick<AuditHost, 'clone'>,
  paths: readonly string[],
): Promise<ReadonlyMap<string, FileFact['clone']>> {
  const groups: string[][] = [];
  for (let at = 0; at < paths.length; at += perCommand)
    groups.push(paths.slice(at, at + perCommand));
  const shown = await inParallel(groups, commandsAtOnce, (group) => clone.showAll(group));
  return new Map(shown.flatMap((each) => [...each]));
}

/** Regular files in a directory and below. */
export async function filesBelow(store: RootStore, directory: string): Promise<readonly string[]> {
  const found = await inParallel(await namesIn(store, directory), 16, async (name) => {
    const path = join(directory, name);
    const kind = (await store.files.stat(path).catch(undefinedWhenMissing))?.kind;
    return kind === 'directory' ? filesBelow(store, path) : kind === 'file' ? [path] : [];
  });
  return found.flat();
}

interface SeenFile {
  readonly data: AuditData;
  readonly path: string;
  readonly stat: FileStat;
  readonly nowMs: number;
}

/** The files of one kind of data, in all shards. */
async function filesIn(
  store: RootStore,
  data: AuditData,
  clock: Clock,
): Promise<readonly FileFact[]> {
  const directory = join(store.layout.root, data);
  const paths = await inParallel(await namesIn(store, directory), 16, async (shard) => {
    const path = join(directory, shard);
    // A file at the place of a shard is itself the misplaced file.
    const kind = (await store.files.stat(path).catch(undefinedWhenMissing))?.kind;
    if (kind !== 'directory') return [path];
    return (await namesIn(store, path)).map((name) => join(path, name));
  });
  const found = await inParallel(paths.flat(), 16, async (path) => {
    const stat = await store.files.stat(path).catch(undefinedWhenMissing);
    if (!stat) return [];
    const held =
      data === 'volumes' ? undefined : await store.files.held(path).catch(undefinedWhenMissing);
    return [{ ...fileFact(store, { data, path, stat, nowMs: clock.now() }), held }];
  });
  return found.flat();
}

function fileFact(store: RootStore, { data, path, stat, nowMs }: SeenFile): FileFact {
  const name = basename(path);
  return {
    data,
    name,
    path,
    isFile: stat.kind === 'file',
    inPlace: isKey(name) && store.layout.data(data, name) === path,
    inode: stat.inode,
    size: stat.size,
    links: stat.links,
    ageMs: nowMs - stat.changedMs,
    clone: undefined,
  };
}

async function edgesIn(store: RootStore, clock: Clock): Promise<AuditFacts['edges']> {
  const directory = join(store.layout.state, 'edges');
  const parents = await inParallel(await namesIn(store, directory), 16, async (shard) =>
    (await namesIn(store, join(directory, shard))).map((parent) => join(directory, shard, parent)),
  );
  const edges = await inParallel(parents.flat(), 16, async (path) => {
    const children = await namesIn(store, path);
    return Promise.all(
      children.map(async (child) => {
        const stat = await store.files.stat(join(path, child)).catch(undefinedWhenMissing);
        return { parent: basename(path), child, ageMs: clock.now() - (stat?.changedMs ?? 0) };
      }),
    );
  });
  return edges.flat();
}

async function marksIn(store: RootStore): Promise<AuditFacts['marks']> {
  const directory = join(store.layout.state, 'marks');
  const nodes = new Map((await store.nodes.all()).map((node) => [node.node, node]));
  const images = await inParallel(await namesIn(store, directory), 16, (shard) =>
    namesIn(store, join(directory, shard)),
  );
  const marks = await inParallel(images.flat().filter(isKey), 16, async (image) => {
    return (await store.marks.of(image).catch(undefinedWhenUnreadable(store.bad))) ?? [];
  });
  return marks.flat().map((mark) => ({
    image: mark.image,
    node: mark.node,
    dead: isDeadMark(mark, nodes.get(mark.node)),
  }));
}

async function temporariesIn(store: RootStore, clock: Clock): Promise<AuditFacts['temporaries']> {
  const { temporary } = store.layout;
  const found = await inParallel(await namesIn(store, temporary), 16, async (name) => {
    const path = join(temporary, name);
    const stat = await store.files.stat(path).catch(undefinedWhenMissing);
    return stat ? [{ path, ageMs: clock.now() - stat.modifiedMs }] : [];
  });
  return found.flat();
}

/** Names in a directory; none where it is not there, or is something else, which is a finding of its own. */
async function namesIn(store: RootStore, directory: string): Promise<readonly string[]> {
  const listed = store.files.list(directory).catch(undefinedWhenMissing);
  return (await listed.catch(undefinedWhenUnreadable(store.bad))) ?? [];
}
