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

/** A regular file, with its place in the clone tree. */
export interface CloneFile {
  readonly path: string;
  readonly facts: Facts;
  readonly record: FileRecord;
}

/** The file at a path that mmclone was given. Fails unless it is a regular file on this file system. */
export function fileAt(ground: Ground, path: string, call: string): CloneFile {
  const facts = ground.facts(path);
  if (facts.kind === 'directory') fail('EISDIR', call, path);
  if (facts.kind === 'other') fail('EINVAL', call, path);
  return { path, facts, record: ground.record(facts.inode) ?? plainRecord(facts.inode) };
}

/** `snap` with two names: a new parent takes the source's data, between the source and its old parent. */
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

/** `snap` with one name: the file itself becomes a clone parent. */
export function snapInPlace(ground: Ground, path: string): void {
  const { facts, record } = fileAt(ground, path, 'snap');
  if (record.isParent) fail('EROFS', 'snap', path);
  if (facts.links > 1) fail('EPERM', 'snap', path);
  if (ground.isOpenForWriting(path)) fail('EBUSY', 'snap', path);
  refuseWithoutSpace(ground, 'snap', path);
  ground.commit([{ do: 'put', record: { ...record, isParent: true } }]);
}

/** `copy`: makes a writable child with attributes of its own. */
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

/** Copies the blocks of the parent into the file. The grandparent becomes its parent. */
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
    { do: 'absorb', inode: record.inode, all: false, ...overwriting(ground, path, parent) },
    ...hang(record.inode, grandparent),
    { do: 'put', record: { ...record, parent: grandparent, depth: above + 1 } },
    ...childGone(ground, parent),
    ...cut(record.inode, parent),
  ]);
}

/** Copies the blocks of all ancestors into the file, which is then no clone any more. */
export function split(ground: Ground, path: string): void {
  const { record, parent } = child(ground, path, 'split');
  runOutOfSpace(ground, record, path, 'split');
  ground.commit([
    { do: 'absorb', inode: record.inode, all: true, ...overwriting(ground, path, parent) },
    { do: 'put', record: { ...record, parent: undefined, depth: 0 } },
    ...childGone(ground, parent),
    ...cut(record.inode, parent),
  ]);
}

/** Some GPFS copies the parent's blocks over what is written to the file meanwhile. */
const overwriting = (ground: Ground, path: string, parent: Inode): { readonly over?: Inode } =>
  !ground.personality.redirectKeeps && ground.isOpenForWriting(path) ? { over: parent } : {};

/** The errno of removing this file now; undefined when it can be removed. Children protect their parent. */
export function removalRefused(ground: Ground, inode: Inode): string | undefined {
  const record = ground.record(inode);
  if (!record?.isParent) return undefined;
  if (ground.childCount(inode, 1) > 0) return ground.personality.removeParent;
  const since = record.childlessSinceMs;
  const open = since !== undefined && ground.now() < since + ground.personality.deleteWindowMs;
  return open ? ground.personality.removeParent : undefined;
}

/** The errno of renaming this file; undefined when it can be renamed. Not every GPFS renames a parent. */
export function renameRefused(ground: Ground, inode: Inode): string | undefined {
  const { renameParent, removeParent } = ground.personality;
  if (renameParent || ground.record(inode)?.isParent !== true) return undefined;
  return ground.childCount(inode, 1) > 0 ? removeParent : undefined;
}

/** The changes to make once a file has lost its last name. */
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

/**
 * Stops the copy when space runs out: the file keeps its parent, and the blocks that were copied by then
 * (docs/gpfs.md 1.7).
 */
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

// GPFS deletes clones in the background: a parent cannot be removed right after its last child went (`deleteWindowMs`).
function childGone(ground: Ground, parent: Inode): readonly Change[] {
  const record = ground.record(parent);
  if (!record || ground.childCount(parent, 2) > 1) return [];
  return [{ do: 'put', record: { ...record, childlessSinceMs: ground.now() } }];
}
