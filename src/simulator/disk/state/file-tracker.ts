import { existsSync, readdirSync, type BigIntStats } from 'node:fs';
import { join } from 'node:path';
import { errnoError } from '../../../run/files.ts';
import type { Inode } from '../../core/ground.ts';
import { readJson, type SimulatorLayout } from './layout.ts';
import { orphanLoopsOf } from './open-files.ts';
import { lookAt, writeWhole, type StateFile, type StateFiles } from './state-files.ts';

/** A parent with children that another program removed or changed. GPFS would have refused that. */
export interface Damage {
  readonly inode: Inode;
  readonly path: string;
  readonly what: 'vanished' | 'changed';
}

/** Keeps the state in step with what other programs do to the files, which the kernel does not refuse. */
export interface FileTracker {
  /** The path of a file now; undefined when it has no name any more. */
  locate(file: StateFile): string | undefined;
  /** Children of a parent that still exist, at most `limit`. */
  livingChildren(parent: Inode, limit?: number): readonly Inode[];
  /** Throws EIO when this file or one of its ancestors is damaged. */
  checkSound(inode: Inode, path: string): void;
  /** Drops the state of an inode that no longer exists. */
  forget(inode: Inode): void;
  /** Records the path of a file, if it was moved. */
  noteAt(file: StateFile, path: string): void;
  /** Checks every file that has state. */
  checkAll(): void;
  damages(): readonly Damage[];
}

/** The time of birth of a file: tells it from a later file with the same inode number. */
export const birthOf = (stat: BigIntStats): string => String(stat.birthtimeNs);

/** A tracker over the state files of one simulator. Use it for one command: it remembers where files are. */
export function fileTracker(
  layout: SimulatorLayout,
  states: StateFiles,
  now: () => number,
): FileTracker {
  const context: Context = { layout, states, now, locate: locator(layout, states) };
  return {
    locate: context.locate,
    livingChildren: (parent, limit) => livingChildren(context, parent, limit),
    checkSound: (inode, path) => {
      checkSound(context, inode, path);
    },
    forget: (inode) => {
      forget(context, inode);
    },
    noteAt: (file, path) => {
      if (file.path !== path && !isAt(file, file.path)) states.write({ ...file, path });
    },
    checkAll: () => {
      for (const inode of states.all()) {
        const file = states.read(inode);
        if (!file) continue;
        if (isAlive(context, inode)) verify(context, file);
        else forget(context, inode);
      }
    },
    damages: () => damagesOf(layout),
  };
}

interface Context {
  readonly layout: SimulatorLayout;
  readonly states: StateFiles;
  readonly locate: FileTracker['locate'];
  now(): number;
}

/** The damage that is recorded; checks no file. Every read asks for it, and there is nearly never any. */
export const damagesOf = (layout: SimulatorLayout): readonly Damage[] =>
  existsSync(layout.damage) ? ((readJson(layout.damage) ?? []) as readonly Damage[]) : [];

function forget(context: Context, inode: Inode): void {
  const { states } = context;
  const parent = states.read(inode)?.record.parent;
  states.remove(inode);
  if (parent === undefined) return;
  states.cut(inode, parent);
  const above = states.read(parent);
  if (!above || livingChildren(context, parent, 1).length > 0) return;
  states.write({ ...above, record: { ...above.record, childlessSinceMs: context.now() } });
}

function livingChildren(context: Context, parent: Inode, limit = Infinity): readonly Inode[] {
  for (;;) {
    const children = context.states.childrenOf(parent, limit);
    const dead = children.filter((inode) => !isAlive(context, inode));
    if (dead.length === 0) return children;
    for (const inode of dead) {
      context.states.cut(inode, parent);
      forget(context, inode);
    }
  }
}

function isAlive(context: Context, inode: Inode): boolean {
  const file = context.states.read(inode);
  if (!file) return false;
  if (isAt(file, file.path)) return true;
  // Before the search through all files, which is slow: a loop device keeps a file whose name was removed.
  if (!file.record.isParent && orphanLoopsOf(file.path).length > 0) return true;
  if (context.locate(file) !== undefined) return true;
  if (livingChildren(context, inode, 1).length === 0) return false;
  report(context, file, 'vanished');
  return true;
}

function verify(context: Context, file: StateFile): void {
  if (!file.frozen) return;
  const path = context.locate(file);
  const stat = path === undefined ? undefined : lookAt(path);
  if (stat) {
    const { size, modifiedNs } = file.frozen;
    const same = String(stat.size) === size && String(stat.mtimeNs) === modifiedNs;
    if (!same) report(context, file, 'changed');
  } else if (livingChildren(context, file.record.inode, 1).length > 0) {
    report(context, file, 'vanished');
  }
}

function report({ layout }: Context, file: StateFile, what: Damage['what']): void {
  const known = damagesOf(layout);
  const { inode } = file.record;
  if (known.some((damage) => damage.inode === inode)) return;
  writeWhole(layout.damage, JSON.stringify([...known, { inode, path: file.path, what }]));
}

function checkSound(context: Context, inode: Inode, path: string): void {
  for (let at: Inode | undefined = inode; at !== undefined;) {
    const file = context.states.read(at);
    if (!file) return;
    verify(context, file);
    const spoilt = damagesOf(context.layout).some((damage) => damage.inode === at);
    if (spoilt) throw errnoError('EIO', 'read', path);
    at = file.record.parent;
  }
}

const isAt = (file: StateFile, path: string): boolean => {
  const there = lookAt(path);
  return (
    there !== undefined && String(there.ino) === file.record.inode && birthOf(there) === file.birth
  );
};

function locator(layout: SimulatorLayout, states: StateFiles): FileTracker['locate'] {
  let walked: ReadonlyMap<string, string> | undefined;
  return (file) => {
    const { birth, record } = file;
    if (isAt(file, file.path)) return file.path;
    // The file may have been moved: search all directories, once for all files.
    walked ??= walk(layout);
    const path = walked.get(`${record.inode} ${birth}`);
    if (path !== undefined) states.write({ ...file, path });
    return path;
  };
}

function walk(layout: SimulatorLayout): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const skipped = [join(layout.hidden, 'children'), join(layout.hidden, 'drafts')];
  const visit = (directory: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      if (entry.isDirectory() && !skipped.includes(path)) visit(path);
      if (!entry.isFile()) continue;
      const stat = lookAt(path);
      if (stat) found.set(`${stat.ino} ${birthOf(stat)}`, path);
    }
  };
  visit(layout.mount);
  return found;
}
