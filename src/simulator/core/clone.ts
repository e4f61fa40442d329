import {
  plainRecord,
  type Change,
  type Facts,
  type FileRecord,
  type Ground,
  type Inode,
} from './ground.ts';
import { noSpace } from './personality.ts';
import { fail } from './errno.ts';

/** A regular file with its place in the clone tree. */
export interface CloneFile {
  readonly path: string;
  readonly facts: Facts;
  readonly record: FileRecord;
}

/** The file behind a path given to mmclone: must exist, be regular and lie on this file system. */
export function fileAt(ground: Ground, path: string, call: string): CloneFile {
  const facts = ground.facts(path);
  if (facts.kind === 'directory') fail('EISDIR', call, path);
  if (facts.kind === 'other') fail('EINVAL', call, path);
  return { path, facts, record: ground.record(facts.inode) ?? plainRecord(facts.inode) };
}

/** Two names: a new parent with the source's data goes between the source and its old parent. */
export function snapTo(ground: Ground, source: string, parent: string): void {
  const { record } = fileAt(ground, source, 'snap');
  if (record.isParent) fail('EROFS', 'snap', source);
  checkTarget(ground, source, parent, 'snap');
  if (!ground.personality.snapOpen && ground.isOpenForWriting(source))
    fail('EBUSY', 'snap', source);
  if (record.depth + 1 > ground.personality.maxDepth) fail('EPERM', 'snap', source);
  const inode = ground.draft(source, 'snap');
  const inserted = { ...record, inode, isParent: true };
  ground.commit([
    { do: 'name', inode, path: parent },
    { do: 'put', record: inserted },
    ...(record.parent === undefined ? [] : hang(inode, record.parent)),
    { do: 'yield', inode: record.inode },
    ...hang(record.inode, inode),
    ...(record.parent === undefined ? [] : cut(record.inode, record.parent)),
    { do: 'put', record: { ...record, parent: inode, depth: record.depth + 1 } },
  ]);
}

/** One name: the file itself becomes a parent. */
export function snapInPlace(ground: Ground, path: string): void {
  const { facts, record } = fileAt(ground, path, 'snap');
  if (record.isParent) fail('EROFS', 'snap', path);
  if (facts.links > 1) fail('EPERM', 'snap', path);
  if (ground.isOpenForWriting(path)) fail('EBUSY', 'snap', path);
  refuseWithoutSpace(ground, 'snap', path);
  ground.commit([{ do: 'put', record: { ...record, isParent: true } }]);
}

/** A writable child with attributes of its own. */
export function copyTo(ground: Ground, parent: string, target: string): void {
  const { record } = fileAt(ground, parent, 'copy');
  if (!record.isParent) fail('EPERM', 'copy', parent);
  checkTarget(ground, parent, target, 'copy');
  if (record.depth + 1 > ground.personality.maxDepth) fail('EPERM', 'copy', parent);
  const inode = ground.draft(parent, 'copy');
  const child = { ...plainRecord(inode), parent: record.inode, depth: record.depth + 1 };
  ground.commit([
    { do: 'name', inode, path: target },
    { do: 'put', record: child },
    ...hang(inode, record.inode),
  ]);
}

/** Copies the blocks of the immediate parent and hangs the file on its grandparent. */
export function redirect(ground: Ground, path: string): void {
  const { record, parent } = child(ground, path, 'redirect');
  runOutOfSpace(ground, record, path, 'redirect');
  const grandparent = ground.record(parent)?.parent;
  if (grandparent === undefined) {
    split(ground, path);
    return;
  }
  const above = ground.record(grandparent)?.depth ?? 0;
  ground.commit([
    { do: 'absorb', inode: record.inode, all: false, ...overwriting(ground, path) },
    ...hang(record.inode, grandparent),
    { do: 'put', record: { ...record, parent: grandparent, depth: above + 1 } },
    ...childGone(ground, parent),
    ...cut(record.inode, parent),
  ]);
}

/** Copies the blocks of all ancestors and leaves the tree. */
export function split(ground: Ground, path: string): void {
  const { record, parent } = child(ground, path, 'split');
  runOutOfSpace(ground, record, path, 'split');
  ground.commit([
    { do: 'absorb', inode: record.inode, all: true, ...overwriting(ground, path) },
    { do: 'put', record: { ...record, parent: undefined, depth: 0 } },
    ...childGone(ground, parent),
    ...cut(record.inode, parent),
  ]);
}

/** On a GPFS that copies without minding who writes. */
const overwriting = (ground: Ground, path: string): { readonly over?: boolean } =>
  !ground.personality.redirectKeeps && ground.isOpenForWriting(path) ? { over: true } : {};

/** The errno for which this file cannot be removed now, because others read through it. */
export function removalRefused(ground: Ground, inode: Inode): string | undefined {
  const record = ground.record(inode);
  if (!record?.isParent) return undefined;
  if (ground.childCount(inode, 1) > 0) return ground.personality.removeParent;
  const since = record.childlessSinceMs;
  const open = since !== undefined && ground.now() < since + ground.personality.deleteWindowMs;
  return open ? ground.personality.removeParent : undefined;
}

/** The errno for which a parent that has children cannot be renamed, where this GPFS is like that. */
export function renameRefused(ground: Ground, inode: Inode): string | undefined {
  const { renameParent, removeParent } = ground.personality;
  if (renameParent || ground.record(inode)?.isParent !== true) return undefined;
  return ground.childCount(inode, 1) > 0 ? removeParent : undefined;
}

/** What follows when the last name of a file went. */
export function forgotten(ground: Ground, inode: Inode): readonly Change[] {
  const record = ground.record(inode);
  if (!record) return [];
  if (record.parent === undefined) return [{ do: 'forget', inode }];
  return [
    ...childGone(ground, record.parent),
    ...cut(inode, record.parent),
    { do: 'forget', inode },
  ];
}

function child(ground: Ground, path: string, call: string): { record: FileRecord; parent: Inode } {
  const { record } = fileAt(ground, path, call);
  if (record.parent === undefined) fail('EPERM', call, path);
  if (record.isParent && !ground.personality.redirectParent) fail('EPERM', call, path);
  if (!ground.personality.redirectOpen && ground.isOpenForWriting(path)) fail('EBUSY', call, path);
  refuseWithoutSpace(ground, call, path);
  return { record, parent: record.parent };
}

/** Copying stops half way: the file keeps its parent, and what it has of its own by then (docs/gpfs.md 1.7). */
function runOutOfSpace(
  ground: Ground,
  { inode }: FileRecord,
  path: string,
  call: 'redirect' | 'split',
): void {
  const most = ground.personality.copyRoom;
  if (most < 0) return;
  ground.commit([{ do: 'absorb', inode, all: call === 'split', most }]);
  fail('ENOSPC', call, path);
}

function checkTarget(ground: Ground, source: string, target: string, call: string): void {
  ground.checkFree(target);
  if (ground.filesetOf(source) !== ground.filesetOf(target)) fail('EXDEV', call, target);
  refuseWithoutSpace(ground, call, target);
}

function refuseWithoutSpace(ground: Ground, call: string, path: string): void {
  const code = noSpace(ground.personality);
  if (code !== undefined) fail(code, call, path);
}

const hang = (child: Inode, parent: Inode): readonly Change[] => [{ do: 'hang', child, parent }];
const cut = (child: Inode, parent: Inode): readonly Change[] => [{ do: 'cut', child, parent }];

// Deletions of clones go on in the background for a while (gpfs: the window after the last child).
function childGone(ground: Ground, parent: Inode): readonly Change[] {
  const record = ground.record(parent);
  if (!record || ground.childCount(parent, 2) > 1) return [];
  return [{ do: 'put', record: { ...record, childlessSinceMs: ground.now() } }];
}
