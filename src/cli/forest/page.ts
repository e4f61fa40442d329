import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { PageParts } from '../../model/report/html.ts';

/** The script and the style of the page. A release has them beside the program; a checkout bundles them. */
export async function pageParts(): Promise<PageParts> {
  const packed = fileURLToPath(new URL('./report-page.json', import.meta.url));
  if (existsSync(packed)) return JSON.parse(await readFile(packed, 'utf8')) as PageParts;
  const bundler = new URL('../../../scripts/page.mjs', import.meta.url).href;
  const { bundlePage } = (await import(bundler)) as {
    readonly bundlePage: () => Promise<PageParts>;
  };
  return bundlePage();
}
