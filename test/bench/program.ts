import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');
const bundle = join(root, 'dist', 'gpfs-csi.js');

/** The built program, built anew when a source is younger; what ships is what is measured. */
export function program(): string {
  if (madeAt(bundle) < Math.max(...sources().map(madeAt)))
    execFileSync(process.execPath, [join(root, 'scripts', 'build.mjs')], { cwd: root });
  return bundle;
}

const sources = (): readonly string[] =>
  readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

const madeAt = (file: string): number => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
