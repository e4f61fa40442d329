import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { krewManifest } from '../../../scripts/release/krew.mjs';

const template = readFileSync(join(import.meta.dirname, '../../../deploy/krew/gpfs.yaml'), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'krew-'));
const archive = join(folder, 'plugin.tar.gz');
writeFileSync(archive, 'bytes of a release');
afterAll(() => {
  rmSync(folder, { recursive: true });
});
const uri = 'https://example.org/kubectl-gpfs-1.2.3.tar.gz';

test('the manifest names the sum of the archive itself, for Linux and macOS', () => {
  const made = parse(krewManifest(template, { version: '1.2.3', archive, uri })) as {
    readonly spec: {
      readonly version: string;
      readonly platforms: readonly {
        sha256: string;
        uri: string;
        selector: { matchLabels: object };
      }[];
    };
  };
  expect(made.spec.version).toBe('v1.2.3');
  const sum = createHash('sha256').update('bytes of a release').digest('hex');
  for (const each of made.spec.platforms) expect(each).toMatchObject({ uri, sha256: sum });
  expect(made.spec.platforms.map(({ selector }) => selector.matchLabels)).toEqual([
    { os: 'linux', arch: 'amd64' },
    { os: 'linux', arch: 'arm64' },
    { os: 'darwin', arch: 'amd64' },
    { os: 'darwin', arch: 'arm64' },
  ]);
});

test('a template without places, and an address without TLS, are refused', () => {
  const release = { version: '1.2.3', archive, uri };
  expect(() => krewManifest('kind: Plugin\n', release)).toThrow('has no version or no platforms');
  expect(() => krewManifest(template, { ...release, uri: 'http://example.org/x' })).toThrow(
    'no address',
  );
});
