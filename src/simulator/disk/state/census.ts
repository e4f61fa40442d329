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
export interface Census {
  /** Where a file is now, or undefined when it has no name any more. */
  locate(file: StateFile): string | undefined;
  /** Children of a parent that still live; need not look for more than `limit`. */
  living(parent: Inode, limit?: number): readonly Inode[];
  /** Throws EIO when this file, or one it reads through, is damaged. */
  check(inode: Inode, path: string): void;
  /** Forgets an inode that is gone. */
  bury(inode: Inode): void;
  /** Takes note of where a file is, if it is not where it was. */
  saw(file: StateFile, path: string): void;
  /** Looks at everything. */
  sweep(): void;
  damages(): readonly Damage[];
}

/** The name of a file's birth, which tells an inode from the next one of its number. */
export const birthOf = (stat: BigIntStats): string => String(stat.birthtimeNs);

/** A census over the state files of one simulator; short-lived, because it remembers where files are. */
export function census(layout: SimulatorLayout, states: StateFiles, now: () => number): Census {
  const scene: Scene = { layout, states, now, locate: locator(layout, states) };
  return {
    locate: scene.locate,
    living: (parent, limit) => living(scene, parent, limit),
    check: (inode, path) => {
      check(scene, inode, path);
    },
    bury: (inode) => {
      bury(scene, inode);
    },
    saw: (file, path) => {
      if (file.path !== path && !isAt(file, file.path)) states.write({ ...file, path });
    },
    sweep: () => {
      for (const inode of states.all()) {
        const file = states.read(inode);
        if (!file) continue;
        if (isAlive(scene, inode)) verify(scene, file);
        else bury(scene, inode);
      }
    },
    damages: () => damagesOf(layout),
  };
}

interface Scene {
  readonly layout: SimulatorLayout;
  readonly states: StateFiles;
  readonly locate: Census['locate'];
  now(): number;
}

/** What is known to be damaged, without looking again; asked at every read, and nearly always nothing. */
export const damagesOf = (layout: SimulatorLayout): readonly Damage[] =>
  existsSync(layout.damage) ? ((readJson(layout.damage) ?? []) as readonly Damage[]) : [];

function bury(scene: Scene, inode: Inode): void {
  const { states } = scene;
  const parent = states.read(inode)?.record.parent;
  states.remove(inode);
  if (parent === undefined) return;
  states.cut(inode, parent);
  const above = states.read(parent);
  if (!above || living(scene, parent, 1).length > 0) return;
  states.write({ ...above, record: { ...above.record, childlessSinceMs: scene.now() } });
}

function living(scene: Scene, parent: Inode, limit = Infinity): readonly Inode[] {
  for (;;) {
    const hung = scene.states.hung(parent, limit);
    const dead = hung.filter((inode) => !isAlive(scene, inode));
    if (dead.length === 0) return hung;
    for (const inode of dead) {
      scene.states.cut(inode, parent);
      bury(scene, inode);
    }
  }
}

function isAlive(scene: Scene, inode: Inode): boolean {
  const file = scene.states.read(inode);
  if (!file) return false;
  if (isAt(file, file.path)) return true;
  // Asked before the whole tree is searched: a device goes on with a file whose name was removed.
  if (!file.record.isParent && orphanLoopsOf(file.path).length > 0) return true;
  if (scene.locate(file) !== undefined) return true;
  if (living(scene, inode, 1).length === 0) return false;
  report(scene, file, 'vanished');
  return true;
}

function verify(scene: Scene, file: StateFile): void {
  if (!file.frozen) return;
  const path = scene.locate(file);
  const stat = path === undefined ? undefined : lookAt(path);
  if (stat) {
    const { size, modifiedNs } = file.frozen;
    const same = String(stat.size) === size && String(stat.mtimeNs) === modifiedNs;
    if (!same) report(scene, file, 'changed');
  } else if (living(scene, file.record.inode, 1).length > 0) {
    report(scene, file, 'vanished');
  }
}

function report({ layout }: Scene, file: StateFile, what: Damage['what']): void {
  const known = damagesOf(layout);
  const { inode } = file.record;
  if (known.some((damage) => damage.inode === inode)) return;
  writeWhole(layout.damage, JSON.stringify([...known, { inode, path: file.path, what }]));
}

function check(scene: Scene, inode: Inode, path: string): void {
  for (let at: Inode | undefined = inode; at !== undefined;) {
    const file = scene.states.read(at);
    if (!file) return;
    verify(scene, file);
    const spoilt = damagesOf(scene.layout).some((damage) => damage.inode === at);
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

function locator(layout: SimulatorLayout, states: StateFiles): Census['locate'] {
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
