// The script and the style of the page of `gpfs-csi report`, bundled from src/page.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Bundles them; both are text that goes into a page as it is. */
export async function bundlePage() {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['src/page/main.ts'],
    bundle: true,
    write: false,
    minify: true,
    platform: 'browser',
    format: 'iife',
    target: 'chrome120',
    charset: 'utf8',
    logLevel: 'warning',
  });
  const style = readFileSync(join(root, 'src', 'page', 'page.css'), 'utf8');
  return { script: outputFiles[0].text.trim(), style };
}
