// Bundles the driver once for a run of vitest, as it is bundled for a release. Node needs half a second to read the
// sources one by one, a fifth for the bundle, and the tests start hundreds of drivers and commands.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** The driver's program. */
    readonly program: string;
    /** Where Node keeps what it has compiled of it. */
    readonly compiled: string;
  }
}

const root = join(import.meta.dirname, '..', '..', '..');

/** Makes the program before the first test; resolves to what removes it after the last one. */
export default function setup(project: TestProject): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'gpfs-csi-program-'));
  const dist = join(folder, 'dist');
  execFileSync(process.execPath, [join(root, 'scripts', 'build.mjs'), dist], { cwd: root });
  // The program looks for its version there.
  copyFileSync(join(root, 'package.json'), join(folder, 'package.json'));
  project.provide('program', join(dist, 'gpfs-csi.js'));
  project.provide('compiled', join(folder, 'compiled'));
  return () => {
    rmSync(folder, { recursive: true, force: true });
  };
}
