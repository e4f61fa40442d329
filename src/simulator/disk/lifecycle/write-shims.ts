import { chmod, copyFile, mkdir, rename, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { commandNames } from '../../commands/dispatch.ts';
import type { SimulatorLayout } from '../state/layout.ts';

/** Programs of the simulator that are not mm commands. */
const helpers = ['rm', 'mv'];

/** Writes the executables. Each only loads one common script, so that it starts fast. */
export async function writeShims(layout: SimulatorLayout): Promise<void> {
  await mkdir(layout.bin, { recursive: true });
  await mkdir(layout.library, { recursive: true });
  const script = join(layout.library, 'shim.cjs');
  await bundleTo(`${script}.new`);
  await rename(`${script}.new`, script);
  const cache = JSON.stringify(join(layout.library, 'cache'));
  const text = [
    `#!${process.execPath}`,
    `require('node:module').enableCompileCache(${cache});`,
    `require(${JSON.stringify(script)});`,
    '',
  ].join('\n');
  // A package.json further up may say that scripts are ES modules; these are CommonJS.
  await replace(join(layout.bin, 'package.json'), '{"type":"commonjs"}\n', 0o644);
  for (const name of [...commandNames, ...helpers])
    await replace(join(layout.bin, name), text, 0o555);
}

// Replaces the file in one step, because a command that starts now reads it.
async function replace(path: string, text: string, mode: number): Promise<void> {
  await writeFile(`${path}.new`, text);
  await chmod(`${path}.new`, mode);
  await rename(`${path}.new`, path);
}

// A release has the script beside the program. A checkout builds it from the sources.
async function bundleTo(path: string): Promise<void> {
  const packed = fileURLToPath(new URL('./simulator-shim.cjs', import.meta.url));
  if (existsSync(packed)) {
    await copyFile(packed, path);
    return;
  }
  const { build } = await import('esbuild');
  await build({
    entryPoints: [fileURLToPath(new URL('../shim.ts', import.meta.url))],
    outfile: path,
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'cjs',
    target: 'node22',
    logLevel: 'silent',
  });
}
