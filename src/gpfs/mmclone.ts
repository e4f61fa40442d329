import type { Run, RunOptions } from '../run/run.ts';
import { mmErrno, unreadable, type MmErrno } from './failures.ts';

/** A file's place in its clone tree, as `mmclone show` reports it. Depth is an upper bound, not a count. */
export type CloneStatus =
  | { readonly kind: 'plain' }
  | { readonly kind: 'parent'; readonly depth: number; readonly parentInode: bigint | undefined }
  | { readonly kind: 'clone'; readonly depth: number; readonly parentInode: bigint };

/** Why mmclone refused, where the caller can act on it. */
export type CloneErrno = Extract<
  MmErrno,
  'EEXIST' | 'ENOENT' | 'EPERM' | 'EROFS' | 'EXDEV' | 'EBUSY'
>;

/** `mmclone`; all paths absolute. The writes print nothing and are never killed. */
export interface CloneCommands {
  /** Puts the data of `file` into the new read-only `parent`, of which `file` becomes a clone. */
  snap(file: string, parent: string): Promise<void>;
  /** Makes `file` itself a clone parent. It must be closed and have one name. */
  freeze(file: string): Promise<void>;
  /** A new writable clone of a parent. */
  copy(parent: string, clone: string): Promise<void>;
  /**
   * Copies what the immediate parent holds, and hangs the file below its grandparent. The time grows with the
   * data. Stopped by its signal, it leaves a clone that can be redirected again (docs/gpfs.md 1.7).
   */
  redirect(file: string, signal?: AbortSignal): Promise<void>;
  /** Copies everything that is shared; the file is no clone any more. */
  split(file: string): Promise<void>;
  show(file: string, options?: RunOptions): Promise<CloneStatus>;
  /** Many files with one command, for an audit; a file that was removed meanwhile is missing in the answer. */
  showAll(files: readonly string[]): Promise<ReadonlyMap<string, CloneStatus>>;
}

/** The `mmclone` of a translated Run. */
export function mmclone(run: Run): CloneCommands {
  const write = async (verb: string, ...paths: readonly string[]): Promise<void> => {
    await run(['mmclone', verb, ...paths.map(absolute)], 'write');
  };
  const show = async (file: string, options?: RunOptions): Promise<CloneStatus> =>
    parseShow(await run(['mmclone', 'show', absolute(file)], 'read', options), file);
  return {
    snap: (file, parent) => write('snap', file, parent),
    freeze: (file) => write('snap', file),
    copy: (parent, clone) => write('copy', parent, clone),
    redirect: async (file, signal) => {
      await run(['mmclone', 'redirect', absolute(file)], 'interruptible', { signal });
    },
    split: (file) => write('split', file),
    show,
    showAll: async (files) => {
      if (files.length === 0) return new Map();
      const together = await run(['mmclone', 'show', ...files.map(absolute)], 'read', { timeoutMs })
        .then((output) => files.map((file) => [file, parseShow(output, file)] as const))
        .catch(() => undefined);
      return new Map(together ?? (await oneByOne(files, show)));
    },
  };
}

// Of many files, one that was removed a moment ago makes the whole command fail.
const timeoutMs = 120_000;

async function oneByOne(
  files: readonly string[],
  show: (file: string) => Promise<CloneStatus>,
): Promise<readonly (readonly [string, CloneStatus])[]> {
  const found: (readonly [string, CloneStatus])[] = [];
  for (const file of files)
    try {
      found.push([file, await show(file)]);
    } catch (error) {
      if (cloneErrno(error) !== 'ENOENT') throw error;
    }
  return found;
}

/** The refusal that a call of CloneCommands met, if it is one to act on. */
export function cloneErrno(error: unknown): CloneErrno | undefined {
  const code = mmErrno(error);
  return cloneErrnos.find((known) => known === code);
}

const cloneErrnos: readonly CloneErrno[] = ['EEXIST', 'ENOENT', 'EPERM', 'EROFS', 'EXDEV', 'EBUSY'];

// The columns are printf("%6s  %5s  %14s  %s"): blank for a plain file, and the inode blank at the
// root of a tree, so a column is known by its position alone. A clone of a file in a snapshot shows
// more text around the name.
const row = /^(?<parent>.{6}) {2}(?<depth>.{5}) {2}(?<inode>.{14}) {2}(?<name>.*)$/s;

// The name of one file may be the beginning of the name of another.
const bestLine = (lines: readonly string[], file: string): string =>
  lines.findLast((text) => text.endsWith(`  ${file}`)) ?? lines.at(-1) ?? '';

/** What `mmclone show FILE` says of the one file that was asked for. */
export function parseShow(output: string, file: string): CloneStatus {
  const lines = output.split('\n').filter((text) => text.includes(file));
  const line = bestLine(lines, file);
  const cells = row.exec(line)?.groups;
  if (!cells?.['name']?.includes(file)) throw unreadable('mmclone', line || output);
  const at = (name: string): string => (cells[name] ?? '').trim();
  const status = place(at('parent'), at('depth'), at('inode'));
  if (status === undefined) throw unreadable('mmclone', line);
  return status;
}

function place(parent: string, depth: string, inode: string): CloneStatus | undefined {
  if (parent + depth + inode === '') return { kind: 'plain' };
  if (!/^\d+$/.test(depth) || !/^\d*$/.test(inode)) return undefined;
  const parentInode = inode === '' ? undefined : BigInt(inode);
  if (parent === 'yes') return { kind: 'parent', depth: Number(depth), parentInode };
  if (parent !== 'no' || parentInode === undefined) return undefined;
  return { kind: 'clone', depth: Number(depth), parentInode };
}

// A relative name could begin with digits that read as an inode, and would depend on a directory.
function absolute(path: string): string {
  if (!path.startsWith('/')) throw new Error(`mmclone takes absolute paths, not ${path}`);
  return path;
}
