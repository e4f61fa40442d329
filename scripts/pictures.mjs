// Takes the pictures of docs/report.md and the icicle of docs/clone-trees.md: a year on the simulator, drawn by
// the page of `gpfs-csi report` in chromium.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { growForest } from '../src/model/forest/forest.ts';
import { forestIcicle } from '../src/model/forest/icicle.ts';
import { rowsOf } from '../src/model/forest/view.ts';
import { unpackFile } from '../src/model/report/data.ts';
import { reportHtml } from '../src/model/report/html.ts';
import { playYear } from '../test/support/tools/picture/fleet.ts';
import { startBrowser } from '../test/support/tools/browser.ts';
import { bundlePage } from './page.mjs';

const image = (name) => new URL(`../docs/images/${name}`, import.meta.url);

const data = await playYear();
const forest = growForest(data.roots[0].files.map(unpackFile));
const rows = [...rowsOf(forest, { collapse: true })];
await writeFile(image('clone-trees-icicle.svg'), `${[...forestIcicle(rows)].join('\n')}\n`);

const folder = await mkdtemp(join(tmpdir(), 'gpfs-csi-pictures-'));
const path = join(folder, 'report.html');
await writeFile(path, reportHtml(await bundlePage(), data));
const browser = await startBrowser();
try {
  for (const scheme of ['light', 'dark']) {
    const page = await browser.open(pathToFileURL(path).href);
    const features = [{ name: 'prefers-color-scheme', value: scheme }];
    await page.send('Emulation.setEmulatedMedia', { features });
    if (scheme === 'dark') {
      await page.eval("document.querySelector('.tree').focus()");
      for (const key of ['End', ' ']) await page.press(key);
      await page.eval("document.querySelector('#trees').scrollIntoView()");
    }
    const { data: shot } = await page.send('Page.captureScreenshot', {
      format: 'webp',
      quality: 70,
    });
    await writeFile(image(`report-${scheme}.webp`), shot, 'base64');
  }
} finally {
  await browser[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
}
