import { open, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { GiB, MiB } from '../../../src/model/bytes.ts';
import { packFile, type ReportData } from '../../../src/model/report/data.ts';
import { reportHtml, type PageParts } from '../../../src/model/report/html.ts';
import { command } from '../../support/disk/command.ts';
import { fromSnapshot, newSnapshot, newVolume } from '../../support/disk/csi.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { imageOnDisk } from '../../support/disk/real-truth.ts';
import { file } from '../../support/model/forest.ts';
import { startBrowser } from '../../support/tools/browser.ts';

// What a user could call a volume to get a page of somebody else to do something.
const hostile = '</script ><!--<script><img src=x onerror=alert(1)>';

const site = await realSite();
const server = await site.serve('a1', { flags: { compaction: 'paused' } });
const db = await newVolume(server, 'db');
await write(db, 3);
const nightly = await newSnapshot(server, 'nightly', db);
await newVolume(server, 'restored', { from: fromSnapshot(nightly) });
await newVolume(server, hostile, { from: fromSnapshot(nightly) });
await server.ok('DeleteSnapshot', { snapshot_id: nightly });
const browser = await startBrowser();
afterAll(() => browser[Symbol.asyncDispose]());

async function write(id: string, blocks: number): Promise<void> {
  await using image = await open(imageOnDisk(site.root, id), 'r+');
  await image.write(Buffer.alloc(blocks * 4096, 1), 0, blocks * 4096, 0);
}

const report = (...argv: readonly string[]) =>
  command(site, ['report', '--trust-directory', ...argv]);
const page = join(site.directory, 'report.html');
const urlOf = (path: string): string => pathToFileURL(path).href;

const parts = async (): Promise<PageParts> =>
  JSON.parse(
    await readFile(join(dirname(inject('program')), 'report-page.json'), 'utf8'),
  ) as PageParts;

/** Texts of the lines that the tree shows. */
const lines = `[...document.querySelectorAll('[role=treeitem] .title')].map((each) => each.textContent)`;
const cursor = `document.querySelector('.cursor .title').textContent`;

describe('gpfs-csi report', () => {
  test('writes a page that only its group reads, and replaces none without --force', async () => {
    const first = await report('--html', page);
    expect(first).toMatchObject({ code: 0, out: '' });
    expect(first.err).toMatch(/report\.html shows 4 files in 1 root\n$/);
    expect((await stat(page)).mode & 0o777).toBe(0o640);
    const second = await report('--html', page);
    expect(second.code).toBe(1);
    expect(second.err).toMatch(/report\.html is there already; choose another name, or replace it/);
    expect((await report('--html', page, '--force')).code).toBe(0);
    const link = join(site.directory, 'link.html');
    const kept = join(site.directory, 'kept');
    await writeFile(kept, 'kept');
    await symlink(kept, link);
    expect((await report('--html', link)).code).toBe(1);
    expect((await report('--html', link, '--force')).code).toBe(0);
    expect(await readFile(kept, 'utf8')).toBe('kept');
    expect((await report('--html', 'relative.html')).code).toBe(2);
  });

  test('shows names as they are, runs nothing of them, and asks no network', async () => {
    const text = await readFile(page, 'utf8');
    expect(text).not.toContain(hostile);
    expect(text.match(/<script/g)).toHaveLength(2);
    const shown = await browser.open(urlOf(page));
    expect(await shown.eval(lines)).toEqual(['of nightly', hostile, 'db', 'restored'].sort(byTree));
    expect(await shown.eval(`document.images.length`)).toBe(0);
    expect(shown.incidents).toEqual([]);
    // The policy holds against what a page could ask for.
    const policy = `new Promise((resolve) => {
      addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective));
      fetch('http://127.0.0.1:9/x').catch(() => setTimeout(resolve, 1000, 'no policy'));
    })`;
    expect(await shown.eval(policy)).toBe('connect-src');
    expect(await shown.eval(`document.body.innerText`)).toContain('records, files and GPFS agree');
  });

  test('folds, finds and marks with keys, and says what a deletion would free', async () => {
    const shown = await browser.open(urlOf(page));
    await shown.eval(`document.querySelector('.tree').focus()`);
    await shown.press('Home');
    expect(await shown.eval(cursor)).toBe('of nightly');
    await shown.press('ArrowLeft');
    expect(await shown.eval(lines)).toEqual(['of nightly']);
    await shown.press('ArrowRight');
    await shown.press('ArrowRight');
    await shown.press('ArrowRight');
    await shown.press('End');
    await shown.press(' ');
    expect(await shown.eval(`document.querySelector('.said').textContent`)).toMatch(
      /^Deleting volume .* would free /,
    );
    const active = `document.getElementById(document.querySelector('.tree').getAttribute('aria-activedescendant'))`;
    expect(await shown.eval(`${active}.getAttribute('aria-selected')`)).toBe('true');
    const outline = `getComputedStyle(document.querySelector('.tree')).outlineStyle`;
    expect(await shown.eval(`document.activeElement.className`)).toBe('tree');
    expect(await shown.eval(outline)).toBe('solid');
    await shown.press('/');
    await shown.type('resto');
    expect(await shown.eval(lines)).toEqual(['of nightly', 'restored']);
    expect(await shown.eval(`document.querySelector('.count').value`)).toBe('1 found');
    expect(shown.incidents).toEqual([]);
  });

  test('is dark where the reader likes it so, and print opens what is folded', async () => {
    const shown = await browser.open(urlOf(page));
    const ground = `getComputedStyle(document.body).backgroundColor`;
    expect(await shown.eval(ground)).toBe('rgb(255, 255, 255)');
    const dark = [{ name: 'prefers-color-scheme', value: 'dark' }];
    await shown.send('Emulation.setEmulatedMedia', { features: dark });
    expect(await shown.eval(ground)).toBe('rgb(20, 25, 30)');
    await shown.eval(`document.querySelector('.tree').focus()`);
    await shown.press('Home');
    await shown.press('ArrowLeft');
    await shown.eval(`addEventListener('beforeprint', () => { globalThis.printed = ${lines}; })`);
    const { data } = await shown.send('Page.printToPDF', {});
    expect(String(data).length).toBeGreaterThan(1000);
    expect(await shown.eval(`globalThis.printed.length`)).toBe(4);
    expect(await shown.eval(lines)).toEqual(['of nightly']);
  });

  test('of 10,000 volumes is drawn within ten seconds on shared processors, and holds only the lines in sight', async () => {
    const path = join(site.directory, 'large.html');
    const html = reportHtml(await parts(), large(10_000));
    await writeFile(path, html);
    expect(html.length).toBeLessThan(2_500_000);
    const shown = await browser.open(urlOf(path));
    const ready = Number(await shown.eval(`document.documentElement.getAttribute('data-ready')`));
    expect(ready).toBeLessThan(2000 * slow);
    await shown.eval(`document.querySelector('.tree').focus()`);
    await shown.press('Home');
    await shown.press('ArrowRight');
    await shown.press('End');
    expect(await shown.eval(cursor)).toBe('v09999');
    expect(await shown.eval(`document.querySelectorAll('[role=treeitem]').length`)).toBeLessThan(
      100,
    );
    expect(await shown.eval(`${lines}.length`)).toBeGreaterThan(10);
  });
});

/** Tests share their processors: a page may be drawn so many times slower than alone. */
const slow = 5;

const byTree = (a: string, b: string): number => order.indexOf(a) - order.indexOf(b);
const order = ['of nightly', 'db', hostile, 'restored'];

function large(count: number): ReportData {
  const golden = file({ key: 'g', name: 'golden', kind: 'snapshot', held: 3n * GiB });
  const volumes = Array.from({ length: count }, (_, n) =>
    file({
      key: `v${n}.1-abcdef`,
      id: `0a1b2c3d.v${n}`,
      name: `v${String(n).padStart(5, '0')}`,
      parent: 'g',
      held: BigInt(count - n) * MiB,
    }),
  );
  return {
    madeMs: Date.now(),
    node: 'a1',
    version: '0.0.0-test',
    checks: [],
    roots: [
      {
        path: '/gpfs/fs1/csi',
        id: '0a1b2c3d',
        totalBytes: 1e15,
        freeBytes: 5e14,
        checks: [],
        fleet: { nodes: [], queue: { ready: 0, waiting: [] }, probe: undefined },
        problems: [],
        files: [golden, ...volumes].map(packFile),
      },
    ],
  };
}
