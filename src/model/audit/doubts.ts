import { isLiving, type AuditFacts, type FileFact, type RecordFact } from './facts.ts';
import type { Graph } from './facts-graph.ts';
import { ownerOfKey, type FileKey } from '../ids.ts';

/** A record that is older than files of its object: a later version of it, which is not there, made them. */
export interface Outdated {
  readonly record: RecordFact;
  readonly files: readonly FileFact[];
}

/** The version of the record that made a file of this name. */
export const numberOf = (key: string): number => Number(/\.(\d+)-/.exec(key)?.[1] ?? 0);

/** The object that a file belongs to by its name, whatever was added to that. */
export const ownerOfName = (name: string): string =>
  name.includes('.') ? ownerOfKey(name as FileKey) : name;

const ownerOf = ({ kind, id }: RecordFact): string => (kind === 'hidden' ? ownerOfName(id) : id);

/** Clone parents that no caller can name are made by operations on their volume. */
const kindsOf = { volumes: 'volume', hidden: 'volume', snapshots: 'snapshot' } as const;

/** Keys that some record names, as its file or in its claim, whatever became of the server. */
const namedIn = ({ records }: AuditFacts): ReadonlySet<string> =>
  new Set(
    records.flatMap(({ key, claim, kind, id }) => [
      ...(kind === 'hidden' ? [id] : []),
      ...(key === undefined ? [] : [key]),
      ...(claim?.keys ?? []),
    ]),
  );

/** Records that are an older copy: each version writes its number into the names of the files that it makes. */
export function outdatedIn(facts: AuditFacts): readonly Outdated[] {
  const named = namedIn(facts);
  const files = new Map<string, FileFact[]>();
  for (const file of facts.files) {
    if (!file.inPlace || !file.isFile || named.has(file.name)) continue;
    const owner = `${kindsOf[file.data]} ${ownerOfName(file.name)}`;
    files.set(owner, [...(files.get(owner) ?? []), file]);
  }
  return facts.records.flatMap((record) => {
    const own = files.get(`${record.kind} ${record.id}`) ?? [];
    const newer = own.filter(({ name }) => numberOf(name) > record.version);
    return newer.length === 0 ? [] : [{ record, files: newer }];
  });
}

/** Whether all files were written again, as a restore does: none has the inode that its record names. */
export function isRewritten({ records }: AuditFacts, graph: Graph): boolean {
  const files = records.filter(isLiving).flatMap((record) => {
    const file = graph.files.get(record.key ?? '');
    const isThere = file?.inPlace === true && file.isFile && file.data === record.data;
    return isThere && record.inode !== undefined ? [{ file, record }] : [];
  });
  return files.length > 1 && files.every(({ file, record }) => file.inode !== record.inode);
}

/** Whether records and files are of different times: then nothing in the root is decided by a rule. */
export const isRestored = (facts: AuditFacts, graph: Graph): boolean =>
  outdatedIn(facts).length > 0 || isRewritten(facts, graph);

/**
 * The file that a record lost to another name or place: of the same inode, named after the same object, and named by
 * no record. An inode alone proves nothing: numbers are used again, and a restore gives out other ones.
 */
export function renamedFrom(facts: AuditFacts, record: RecordFact): FileFact | undefined {
  const { key = '', inode } = record;
  const named = namedIn(facts);
  return facts.files.find(
    (file) =>
      file.isFile &&
      (!file.inPlace || file.data !== record.data) &&
      !(file.inPlace && named.has(file.name)) &&
      ownerOfName(file.name) === ownerOf(record) &&
      (inode === undefined ? file.name.startsWith(key) : file.inode === inode),
  );
}

/** Other files without a record that belong to the same object by their names. */
export function othersOf(facts: AuditFacts, record: RecordFact): readonly FileFact[] {
  const named = namedIn(facts);
  return facts.files.filter(
    ({ name, isFile, inPlace }) =>
      isFile && !(inPlace && named.has(name)) && ownerOfName(name) === ownerOf(record),
  );
}

/** Whether the record has the file that it names, in its place. */
export function hasItsFile(graph: Graph, { key, inode, data }: RecordFact): boolean {
  const file = graph.files.get(key ?? '');
  if (file?.inPlace !== true || !file.isFile || file.data !== data) return false;
  return inode === undefined || inode === file.inode;
}
