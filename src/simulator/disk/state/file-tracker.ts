import { existsSync, readdirSync, type BigIntStats } from 'node:fs';
import { join } from 'node:path';
import { errnoError } from '../../../run/files.ts';
import type { Inode } from '../../core/ground.ts';
import { readJson, type SimulatorLayout } from './layout.ts';
import { orphanLoopsOf } from './open-files.ts';
import { lookAt, writeWhole, type StateFile, type StateFiles } from './state-files.ts';

/** A parent with children that lost its name or its content, which GPFS would never have allowed. */
export interface Damage {
  readonly inode: Inode;
  readonly path: string;
  readonly what: 'vanished' | 'changed';
}

/** Keeps the state true to what other programs did behind our back. */
export interface FileTracker {
  /** Where a file is now, or undefined when it has no name any more. */
  locate(file: StateFile): string | undefined;
  /** Children of a parent that still live; need not look for more than `limit`. */
  livingChildren(parent: Inode, limit?: number): readonly Inode[];
  /** Throws EIO when this file, or one it reads through, is damaged. */
  checkSound(inode: Inode, path: string): void;
  /** Forgets an inode that is gone. */
  forget(inode: Inode): void;
  /** Takes note of where a file is, if it is not where it was. */
  noteAt(file: StateFile, path: string): void;
  /** Looks at everything. */
  checkAll(): void;
  damages(): readonly Damage[];
}

/** The name of a file's birth, which tells an inode from the next one of its number. */
export const birthOf = (stat: BigIntStats): string => String(stat.birthtimeNs);

/** A census over the state files of one simulator; short-lived, because it remembers where files are. */
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

/** What is known to be damaged, without looking again; asked at every read, and nearly always nothing. */
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
  // Asked before the whole tree is searched: a device goes on with a file whose name was removed.
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
    // It may only have been moved: look for it everywhere, once.
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
