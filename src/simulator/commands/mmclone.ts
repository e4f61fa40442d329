import { copyTo, fileAt, redirect, snapInPlace, snapTo, split } from '../core/clone.ts';
import type { Ground } from '../core/ground.ts';
import { errnoNameOf, strerror } from '../core/errno.ts';
import type { CommandOutcome } from './text.ts';

const usage = [
  'Usage:',
  '  mmclone snap SourceFile [CloneParentFile]',
  '  mmclone copy CloneParentFile TargetFile',
  '  mmclone split Filename [Filename...]',
  '  mmclone redirect Filename [Filename...]',
  '  mmclone show Filename [Filename...]',
];

const heading = [
  'Parent  Depth   Parent inode   File name',
  '------  -----  --------------  ---------',
];

/** `mmclone`: silent when it succeeds, except for show. */
export function mmclone(ground: Ground, args: readonly string[]): CommandOutcome {
  const [verb, first, second, ...more] = args;
  if (first === undefined) return misused();
  const files = args.slice(1);
  switch (verb) {
    case 'snap':
      if (more.length > 0) return misused();
      return each([first], (file) => {
        if (second === undefined) snapInPlace(ground, file);
        else snapTo(ground, file, second);
        return [];
      });
    case 'copy':
      if (second === undefined || more.length > 0) return misused();
      return each([first], (file) => {
        copyTo(ground, file, second);
        return [];
      });
    case 'split':
      return each(files, (file) => {
        split(ground, file);
        return [];
      });
    case 'redirect':
      return each(files, (file) => {
        redirect(ground, file);
        return [];
      });
    case 'show':
      return each(files, (file) => [row(ground, file)], heading);
    case undefined:
    default:
      return misused();
  }
}

/** Handles files one after the other, and continues after a failure. */
function each(
  files: readonly string[],
  act: (file: string) => readonly string[],
  before: readonly string[] = [],
): CommandOutcome {
  const lines: string[] = [];
  const failures: string[] = [];
  for (const file of files) {
    try {
      lines.push(...act(file));
    } catch (error) {
      failures.push(`mmclone: ${strerror(errnoNameOf(error))}\n`);
    }
  }
  const shown = lines.length > 0 ? [...before, ...lines] : [];
  return {
    stdout: shown.map((line) => `${line}\n`).join(''),
    stderr: failures.join(''),
    exitCode: failures.length > 0 ? 1 : 0,
  };
}

function row(ground: Ground, path: string): string {
  const { record } = fileAt(ground, path, 'show');
  const known = record.isParent || record.parent !== undefined;
  const cells = known
    ? [record.isParent ? 'yes' : 'no', String(record.depth), record.parent ?? '']
    : ['', '', ''];
  const [parent = '', depth = '', inode = ''] = cells;
  return `${parent.padStart(6)}  ${depth.padStart(5)}  ${inode.padStart(14)}  ${path}`;
}

const misused = (): CommandOutcome => ({
  stdout: '',
  stderr: usage.map((line) => `${line}\n`).join(''),
  exitCode: 1,
});
