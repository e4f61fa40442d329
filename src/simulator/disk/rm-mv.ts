import { cpSync, lstatSync, readdirSync, renameSync, rmSync, rmdirSync, unlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errnoOf } from '../../run/files.ts';
import { removalRefused, renameRefused } from '../core/clone.ts';
import type { SimulatorLayout } from './state/layout.ts';
import { absolute, type RealGround } from './ground.ts';
import { realFilesets } from './filesets.ts';
import { orphanLoopsOf } from './state/open-files.ts';
import { lookAt } from './state/state-files.ts';
import { errnoNameOf, fail, strerror } from '../core/errno.ts';
import type { CommandOutcome } from '../commands/text.ts';

// `rm` and `mv` as they behave on GPFS. They refuse what GPFS refuses and the kernel of this machine allows.

/** Removes one name as GPFS would and records that. It also works outside the simulated file system. */
export function removeName(ground: RealGround, path: string): void {
  const inode = lastNameAt(ground, path);
  const refusal = inode === undefined ? undefined : removalRefused(ground, inode);
  if (refusal !== undefined) fail(refusal, 'unlink', path);
  unlinkSync(path);
  if (inode !== undefined) forgetUnlessAttached(ground, inode, path);
}

// A file without a name still exists while a loop device has it, and still needs its parent.
function forgetUnlessAttached(ground: RealGround, inode: string, path: string): void {
  if (orphanLoopsOf(absolute(path)).length === 0) ground.tracker.forget(inode);
}

/** Renames a file as GPFS would and records its new path. */
export function rename(ground: RealGround, from: string, to: string): void {
  lstatSync(from);
  const moved = cloneAt(ground, from);
  const over = replacedBy(ground, to, moved);
  checkOneFileset(ground.layout, from, to);
  const refusal = moved === undefined ? undefined : renameRefused(ground, moved);
  if (refusal !== undefined) fail(refusal, 'rename', from);
  renameSync(from, to);
  if (over !== undefined) forgetUnlessAttached(ground, over, to);
  const state = moved === undefined ? undefined : ground.states.read(moved);
  if (state) ground.tracker.noteAt(state, absolute(to));
}

// The inode of the file that a rename would remove. Fails when that file must not be removed.
function replacedBy(ground: RealGround, to: string, moved: string | undefined): string | undefined {
  const over = lastNameAt(ground, to);
  if (over === undefined || over === moved) return undefined;
  const refusal = removalRefused(ground, over);
  return refusal === undefined ? over : fail(refusal, 'rename', to);
}

/** Fails with EXDEV for names in two filesets, which are one file system to the kernel. */
export function checkOneFileset(layout: SimulatorLayout, from: string, to: string): void {
  const [here, there] = [dirname(absolute(from)), dirname(absolute(to))];
  if (here === there || !isOn(layout, here) || !isOn(layout, there)) return;
  const { filesetOf } = realFilesets(layout);
  if (filesetOf(here) !== filesetOf(there)) fail('EXDEV', 'rename', to);
}

const isOn = (layout: SimulatorLayout, path: string): boolean =>
  lookAt(path)?.dev === lookAt(layout.mount)?.dev;

/** The inode of a clone or clone parent; undefined for any other file. A damaged file can be removed too. */
function cloneAt(ground: RealGround, path: string): string | undefined {
  const stat = lookAt(path);
  if (!stat?.isFile() || !isOn(ground.layout, path)) return undefined;
  const inode = String(stat.ino);
  if (!ground.states.read(inode)) return undefined;
  try {
    ground.facts(path);
  } catch (error) {
    if (errnoOf(error) !== 'EIO') throw error;
  }
  return ground.states.read(inode) ? inode : undefined;
}

// The same, but only when this is the last name of the file. The links for its children do not count as names.
function lastNameAt(ground: RealGround, path: string): string | undefined {
  const inode = cloneAt(ground, path);
  if (inode === undefined) return undefined;
  const links = lookAt(path)?.nlink ?? 0n;
  return links - BigInt(ground.states.childrenOf(inode).length) > 1n ? undefined : inode;
}

/** `rm [-rRfdv] FILE...` */
export function rm(ground: RealGround, args: readonly string[]): CommandOutcome {
  const { letters, files } = options(args);
  const remove = (path: string): void => {
    const stat = lstatSync(path);
    if (!stat.isDirectory()) {
      removeName(ground, path);
      return;
    }
    if (!/[rR]/.test(letters)) fail('EISDIR', 'unlink', path);
    each(readdirSync(path).map((name) => join(path, name)));
    rmdirSync(path);
  };
  const complaints: string[] = [];
  const each = (paths: readonly string[]): void => {
    for (const path of paths) {
      try {
        remove(path);
      } catch (error) {
        const code = errnoNameOf(error);
        if (code === 'ENOENT' && letters.includes('f')) continue;
        complaints.push(`rm: cannot remove '${path}': ${strerror(code)}`);
      }
    }
  };
  each(files);
  if (files.length === 0 && !letters.includes('f')) complaints.push('rm: missing operand');
  return ended(complaints);
}

/** `mv [-fnvT] FILE TARGET`, `mv FILE... DIRECTORY`, `mv -t DIRECTORY FILE...` */
export function mv(ground: RealGround, args: readonly string[]): CommandOutcome {
  const { letters, files } = options(args);
  const given = letters.includes('t') ? [...files.slice(1), ...files.slice(0, 1)] : files;
  const target = given.at(-1);
  const sources = given.slice(0, -1);
  if (target === undefined || sources.length === 0) return ended(['mv: missing file operand']);
  const into = !letters.includes('T') && isDirectory(target);
  if (sources.length > 1 && !into) return ended([`mv: target '${target}' is not a directory`]);
  const moves = sources.map((from) => ({ from, to: into ? join(target, basename(from)) : target }));
  return ended(
    moves
      .filter(({ to }) => !letters.includes('n') || !lookAt(to))
      .flatMap(({ from, to }) => moveOrSay(ground, from, to)),
  );
}

function moveOrSay(ground: RealGround, from: string, to: string): readonly string[] {
  try {
    move(ground, from, to);
    return [];
  } catch (error) {
    return [`mv: cannot move '${from}' to '${to}': ${strerror(errnoNameOf(error))}`];
  }
}

// Like mv(1): between file systems or filesets, copies the file and removes the source.
function move(ground: RealGround, from: string, to: string): void {
  try {
    rename(ground, from, to);
  } catch (error) {
    if (errnoOf(error) !== 'EXDEV') throw error;
    cpSync(from, to, { recursive: true, preserveTimestamps: true });
    if (lstatSync(from).isDirectory()) rmSync(from, { recursive: true });
    else removeName(ground, from);
  }
}

const isDirectory = (path: string): boolean => lookAt(path)?.isDirectory() === true;

function options(args: readonly string[]): {
  readonly letters: string;
  readonly files: readonly string[];
} {
  const end = args.indexOf('--');
  const before = end < 0 ? args : args.slice(0, end);
  const isOption = (arg: string): boolean => arg.startsWith('-') && arg !== '-';
  const long: Readonly<Record<string, string>> = {
    '--recursive': 'r',
    '--force': 'f',
    '--verbose': 'v',
    '--no-clobber': 'n',
    '--no-target-directory': 'T',
    '--target-directory': 't',
  };
  const letters = before.filter(isOption).map((arg) => long[arg] ?? arg.replace(/^-+/, ''));
  const files = [
    ...before.filter((arg) => !isOption(arg)),
    ...(end < 0 ? [] : args.slice(end + 1)),
  ];
  return { letters: letters.join(''), files };
}

const ended = (complaints: readonly string[]): CommandOutcome => ({
  stdout: '',
  stderr: complaints.map((line) => `${line}\n`).join(''),
  exitCode: complaints.length === 0 ? 0 : 1,
});
