import { linkSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../../run/files.ts';
import { birthOf, type FileTracker } from './file-tracker.ts';
import { plainAttributes, type Change, type FileRecord, type Inode } from '../../core/ground.ts';
import { copyOver } from './copy-over.ts';
import { readJson, type SimulatorLayout } from './layout.ts';
import { lookAt, unlinkIfThere, writeWhole, type StateFiles } from './state-files.ts';

/** The path and the birth of a file when this command looked at it. */
export interface Seen {
  readonly path: string;
  readonly birth: string;
}

/** A transaction, written to the journal before it begins: after a kill, the next command completes it. */
interface Entry {
  readonly changes: readonly Change[];
  readonly seen: Readonly<Record<Inode, Seen>>;
}

export interface StateJournal {
  commit(changes: readonly Change[], seen: Map<Inode, Seen>): void;
  /** Completes the transaction of a killed command, and removes drafts that will get no name. */
  recover(): void;
}

/** Makes all changes of a transaction or none, even when the process dies in the middle. */
export function journal(
  layout: SimulatorLayout,
  states: StateFiles,
  tracker: FileTracker,
): StateJournal {
  const path = join(layout.state, 'journal.json');
  const drafts = join(layout.hidden, 'drafts');

  const perform = ({ changes }: Entry, seen: Map<Inode, Seen>): void => {
    for (const change of changes) apply({ states, tracker, seen }, change);
  };
  return {
    commit: (changes, seen) => {
      const entry: Entry = { changes, seen: Object.fromEntries(seen) };
      writeWhole(path, JSON.stringify(entry));
      try {
        perform(entry, seen);
      } catch (error) {
        // Only a name can be refused permanently, and it comes first. After any other error, the next command
        // completes the transaction.
        if (isRefusedName(error)) unlinkIfThere(path);
        throw error;
      }
      unlinkIfThere(path);
    },
    recover: () => {
      const entry = readJson(path) as Entry | undefined;
      if (entry) {
        try {
          perform(entry, new Map(Object.entries(entry.seen)));
        } catch (error) {
          if (!isRefusedName(error)) throw error;
        }
        unlinkIfThere(path);
      }
      for (const name of readdirSync(drafts)) unlinkSync(join(drafts, name));
    },
  };
}

// Another program took the name or removed its directory, before the transaction had any effect.
const isRefusedName = (error: unknown): boolean =>
  ['EEXIST', 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes(errnoOf(error) ?? '');

interface Context {
  readonly states: StateFiles;
  readonly tracker: FileTracker;
  readonly seen: Map<Inode, Seen>;
}

function apply(context: Context, change: Change): void {
  switch (change.do) {
    case 'name':
      name(context, change.inode, change.path);
      return;
    case 'put':
      put(context, change.record);
      return;
    case 'forget':
      context.states.remove(change.inode);
      return;
    case 'hang':
      context.states.hang(change.child, change.parent, parentPath(context, change.parent));
      return;
    case 'cut':
      context.states.cut(change.child, change.parent);
      return;
    case 'absorb':
      if (change.over !== undefined) absorbOver(context, change, change.over);
      return;
    case 'yield':
      // XFS keeps the blocks of reflinked files in order by itself.
      return;
  }
}

/** The link of a child is a name of its parent; it goes last, so without it this was done before. */
function absorbOver(
  { states, seen }: Context,
  { inode, all }: Extract<Change, { do: 'absorb' }>,
  parent: Inode,
): void {
  const from = states.linkOf(parent, inode);
  const path = (seen.get(inode) ?? states.read(inode))?.path;
  if (path === undefined || !lookAt(from)) return;
  const above = all ? undefined : states.read(parent)?.record.parent;
  copyOver(path, from, above === undefined ? undefined : states.linkOf(above, parent));
}

function name({ seen }: Context, inode: Inode, path: string): void {
  const draft = seen.get(inode);
  if (!draft) return;
  seen.set(inode, { ...draft, path });
  if (!lookAt(draft.path)) return;
  try {
    linkSync(draft.path, path);
  } catch (error) {
    const there = lookAt(path);
    if (!there || String(there.ino) !== inode) throw error;
  } finally {
    unlinkIfThere(draft.path);
  }
}

function put({ states, seen }: Context, record: FileRecord): void {
  const old = states.read(record.inode);
  const known = seen.get(record.inode) ?? old;
  if (!known) return;
  if (isPlain(record)) {
    states.remove(record.inode);
    return;
  }
  const { birth, path } = known;
  const frozen = record.isParent ? (old?.frozen ?? freeze(path, birth)) : undefined;
  states.write({ record, birth, path, frozen });
}

const isPlain = ({ parent, isParent, attributes }: FileRecord): boolean =>
  parent === undefined &&
  !isParent &&
  JSON.stringify(attributes) === JSON.stringify(plainAttributes);

function freeze(path: string, birth: string) {
  const stat = lookAt(path);
  if (!stat || birthOf(stat) !== birth) return undefined;
  return { size: String(stat.size), modifiedNs: String(stat.mtimeNs) };
}

function parentPath({ states, tracker, seen }: Context, parent: Inode): string {
  const [sibling] = states.childrenOf(parent, 1);
  if (sibling !== undefined) return states.linkOf(parent, sibling);
  const file = states.read(parent);
  return seen.get(parent)?.path ?? (file && tracker.locate(file)) ?? '';
}
