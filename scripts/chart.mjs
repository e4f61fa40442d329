// Writes every file that is made from the chart: its README, deploy/manifests, and the snapshots of its tests.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generatedFiles } from '../test/chart/generate.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
for (const [path, text] of await generatedFiles()) {
  const file = join(root, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
  console.log(path);
}
