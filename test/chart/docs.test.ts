import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { chart } from './helm.ts';
import { documentedValues } from './readme.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const below = (folder: string, end: string): readonly string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(end))
    .map((path) => join(folder, path));

const pages = [
  ...below('docs', '.md'),
  'README.md',
  'deploy/README.md',
  'charts/gpfs-csi/README.md',
];
const sources = below('src', '.ts')
  .filter((path) => !path.startsWith('src/wire/'))
  .map(read)
  .join('\n');

describe('documentation', () => {
  test('messages in the troubleshooting page are those of the driver', () => {
    const headings = [...read('docs/troubleshooting.md').matchAll(/^### `(.+)`$/gm)];
    const ours = headings
      .map(([, text = '']) => text)
      .filter((text) => !text.startsWith('driver name'));
    expect(ours.length).toBeGreaterThan(20);
    const literal = sources
      .replaceAll(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, '…')
      .replaceAll(/` \+\s+`/g, '');
    const strange = ours
      .flatMap((text) => text.split('…').map((part) => part.trim()))
      .filter((part) => part.length > 2 && !literal.includes(part));
    expect(strange).toEqual([]);
  });

  test('metrics are those that the driver has', () => {
    const named = [...pages, 'charts/gpfs-csi/templates/alerts.yaml'].flatMap((page) =>
      [...read(page).matchAll(/gpfs_csi_[a-z_]+/g)].map(([name]) =>
        name.replace(/_(?:bucket|count|sum)$/, ''),
      ),
    );
    expect(new Set(named).size).toBeGreaterThan(30);
    const ours = [...sources.matchAll(/'(gpfs_csi_[a-z_]+)'/g)].map(([, name]) => name);
    expect(new Set(named)).toEqual(new Set(ours));
    for (const name of new Set(named)) expect(sources).toContain(`'${name}'`);
  });

  test('alerts are those that the chart has', () => {
    const names = (text: string) =>
      new Set([...text.matchAll(/GpfsCsi\w+/g)].map(([name]) => name));
    expect(names(read('docs/monitoring.md'))).toEqual(
      names(read('charts/gpfs-csi/templates/alerts.yaml')),
    );
  });

  test('a pod of an example ends when it gets SIGTERM, so that its delete takes no 30 seconds', async () => {
    const scripts = below('deploy/examples', '.yaml').flatMap((path) =>
      parseAllDocuments(read(path)).flatMap((document) => sleepingIn(document.toJSON())),
    );
    expect(scripts.length).toBeGreaterThan(5);
    const ends = await Promise.all(scripts.map(endOnTerm));
    expect(ends).toEqual(scripts.map(() => 0));
  });

  test('values that a page sets exist', () => {
    const values = documentedValues(readFileSync(join(chart, 'values.yaml'), 'utf8')).map(
      ({ path }) => path,
    );
    const set = pages.flatMap((page) =>
      [...read(page).matchAll(/--set '?([a-z][\w.]*)/g)].map(([, path = '']) =>
        path.replace(/\.$/, ''),
      ),
    );
    expect(set.length).toBeGreaterThan(10);
    for (const path of set)
      expect(
        values.some((known) => path === known || path.startsWith(`${known}.`)),
        path,
      ).toBe(true);
  });
});

/** Scripts of shells, anywhere in an object, that sleep. */
function sleepingIn(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = Array.isArray(value) && value[0] === 'sh' ? [String(value.at(-1))] : [];
  return [
    ...own.filter((script) => script.includes('sleep')),
    ...Object.values(value).flatMap(sleepingIn),
  ];
}

/** The exit status of a script as the first process of a container, which gets SIGTERM while it sleeps. */
async function endOnTerm(script: string): Promise<number | null> {
  const trap = script.startsWith('trap') ? script.slice(0, script.indexOf(';') + 1) : '';
  const rest = script.slice(script.indexOf('sleep'));
  const words = ['--pid', '--fork', '--kill-child', 'sh', '-euc', `${trap} echo on; ${rest}`];
  const outer = spawn('unshare', words, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(outer, 'exit');
  await once(outer.stdout, 'data');
  const inner = readFileSync(`/proc/${outer.pid}/task/${outer.pid}/children`, 'utf8').trim();
  process.kill(Number(inner), 'SIGTERM');
  const stop = setTimeout(() => outer.kill('SIGKILL'), 5000);
  const [code] = (await exit) as [number | null];
  clearTimeout(stop);
  return code;
}
