import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const root = join(import.meta.dirname, '..', '..');
const bundle = join(root, 'dist', 'gpfs-csi.js');

/** The built program, rebuilt when a source is newer. So the benchmark measures what ships. */
export function program(): string {
  if (madeAt(bundle) < Math.max(...sources().map(madeAt)))
    execFileSync(process.execPath, [join(root, 'scripts', 'build.mjs')], { cwd: root });
  return bundle;
}

/** Node's flags and the environment that the image starts the driver with, read from its Dockerfile. */
export function asInImage(): {
  /** All words of the entry point. */
  readonly words: readonly string[];
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
} {
  const text = readFileSync(join(root, 'Dockerfile'), 'utf8');
  const entry = /^ENTRYPOINT (?<words>\[.*\])$/m.exec(text)?.groups?.['words'] ?? '';
  const words = z.array(z.string()).parse(JSON.parse(entry));
  const set = [...text.matchAll(/\b(?<name>UV_\w+|MALLOC_\w+)=(?<value>\d+)/g)];
  return {
    words,
    flags: words.slice(words.findIndex(isNode)).filter((word) => word.startsWith('--')),
    env: Object.fromEntries(set.map((match) => [match[1] ?? '', match[2] ?? ''])),
  };
}

/** Whether this word of an entry point is the program Node. */
export const isNode = (word: string): boolean => word.endsWith('/node');

const sources = (): readonly string[] =>
  readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

const madeAt = (file: string): number => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
