import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { digestOf, fileIn } from '../../../scripts/release/archive.mjs';
import { unfitness, withImage } from '../../../scripts/release/checks.mjs';

const digest = `sha256:${'0a'.repeat(32)}`;
const fit = {
  version: '1.2.3',
  chart: 'name: gpfs-csi\nversion: 1.2.3\nappVersion: 1.2.3\n',
  changelog: '# Changelog\n\n## 1.2.3 (2026-11-28)\n\n## 1.2.2 (2026-10-01)\n',
  tag: 'v1.2.3',
  changes: '',
  base: `example.org/node@${digest}`,
};

describe('a checkout', () => {
  test('may be published when nothing is wrong with it', () => {
    expect(unfitness(fit)).toEqual([]);
  });

  test.each([
    [{ chart: 'version: 1.2.3\nappVersion: 1.2.2\n' }, 'appVersion of charts/gpfs-csi/Chart.yaml'],
    [{ changelog: '## 1.2.3 (unreleased)' }, 'CHANGELOG.md begins with "## 1.2.3 (unreleased)"'],
    [{ changelog: '## 1.2.2 (2026-10-01)' }, 'write "## 1.2.3 (YYYY-MM-DD)"'],
    [{ changelog: '' }, 'CHANGELOG.md begins with ""'],
    [{ tag: undefined }, 'the commit has no tag: it needs v1.2.3'],
    [{ tag: 'v1.2.2' }, 'the commit has the tag v1.2.2'],
    [{ changes: ' M README.md' }, 'not committed:\n M README.md'],
    [{ base: undefined }, 'the base image is made on this machine'],
    [{ base: 'example.org/node:24' }, 'the base image is example.org/node:24: name one by digest'],
  ])('is refused with %j', (different, reason) => {
    const reasons = unfitness({ ...fit, ...different });
    expect(reasons).toHaveLength(1);
    expect(reasons[0]).toContain(reason);
  });
});

describe('the chart of a release', () => {
  const values = readFileSync(
    join(import.meta.dirname, '../../../charts/gpfs-csi/values.yaml'),
    'utf8',
  );

  test('has the image of the release, by digest, and is the same otherwise', () => {
    const { image: before, ...rest } = parse(values) as { readonly image: object };
    const { image, ...same } = parse(withImage(values, 'example.org/gpfs-csi', digest)) as {
      readonly image: object;
    };
    expect(image).toEqual({ ...before, repository: 'example.org/gpfs-csi', digest });
    expect(same).toEqual(rest);
    expect(withImage(values, 'example.org/gpfs-csi', digest)).not.toContain('None is published');
  });

  test.each([
    ['no image', 'other:\n  x: 1\n'],
    ['no digest of the image', values.replace(/^ {2}digest: ''$/m, '  sum: 1')],
  ])('is refused when there is %s to set', (what, text) => {
    expect(() => withImage(text, 'example.org/gpfs-csi', digest)).toThrow(
      `charts/gpfs-csi/values.yaml has ${what}`,
    );
  });
});

describe('an archive', () => {
  test('gives its digest, and a file from the last layer that has it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'archive-'));
    try {
      const archive = makeArchive(folder, ['one', 'two', undefined]);
      expect(digestOf(archive)).toBe('sha256:m');
      expect(fileIn(archive, 'opt/list.json')).toBe('two');
      expect(() => fileIn(archive, 'opt/other')).toThrow('has no opt/other');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** An OCI archive whose layers hold opt/list.json with these texts. */
function makeArchive(folder: string, layers: readonly (string | undefined)[]): string {
  const image = join(folder, 'image');
  const blobs = join(image, 'blobs', 'sha256');
  mkdirSync(blobs, { recursive: true });
  layers.forEach((text, n) => {
    const tree = join(folder, `tree${n}`);
    mkdirSync(join(tree, 'opt'), { recursive: true });
    if (text !== undefined) writeFileSync(join(tree, 'opt', 'list.json'), text);
    execFileSync('tar', ['-czf', join(blobs, `l${n}`), '-C', tree, 'opt']);
  });
  const manifest = { layers: layers.map((_, n) => ({ digest: `sha256:l${n}` })) };
  writeFileSync(join(blobs, 'm'), JSON.stringify(manifest));
  const index = { manifests: [{ digest: 'sha256:m' }] };
  writeFileSync(join(image, 'index.json'), JSON.stringify(index));
  const archive = join(folder, 'image.tar');
  execFileSync('tar', ['-cf', archive, '-C', image, 'blobs', 'index.json']);
  return archive;
}
