import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { kept, type Case } from './cases.ts';
import { chart, render } from './helm.ts';
import { chartReadme } from './readme.ts';

const generatedNote = '# Made from charts/gpfs-csi by `npm run chart`; change it there.\n';

/** Every file that is made from the chart, by its path in the repository. */
export async function generatedFiles(): Promise<ReadonlyMap<string, string>> {
  const readme = chartReadme(await readFile(join(chart, 'values.yaml'), 'utf8'));
  const snapshots = Object.entries(kept).map(
    async ([name, each]) => [`test/chart/snapshots/${name}.yaml`, await text(each)] as const,
  );
  return new Map([
    ['charts/gpfs-csi/README.md', readme],
    ...(await Promise.all(snapshots)),
    ...plainManifests(await text({ values: { roots: ['/gpfs/fs1/csi'], snapshots: 'always' } })),
  ]);
}

async function text({ values, options }: Case): Promise<string> {
  const rendered = await render(values, options);
  if (!rendered.ok) throw new Error(rendered.why);
  return rendered.text;
}

/** The same objects for kubectl, one file for each template, without what belongs to helm. */
function plainManifests(rendered: string): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const document of rendered.split(/^---\n/m)) {
    const source = /^# Source: gpfs-csi\/templates\/(.+)\n/.exec(document)?.[1];
    const isHook = document.includes('helm.sh/hook:');
    if (source === undefined || isHook) continue;
    const path = `deploy/manifests/${source}`;
    const before = files.get(path);
    const start = before === undefined ? generatedNote : `${before}---\n`;
    files.set(path, `${start}${withoutHelm(document)}`);
  }
  return files;
}

const withoutHelm = (document: string): string =>
  document
    .split('\n')
    .filter(
      (line) => !/^(?:# Source:| *helm\.sh\/chart:| *app\.kubernetes\.io\/managed-by:)/.test(line),
    )
    .join('\n');
