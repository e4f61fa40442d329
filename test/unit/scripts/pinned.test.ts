import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { npm, pinnedNode, unpackPinned } from '../../../scripts/image/pinned.mjs';

const root = join(import.meta.dirname, '..', '..', '..');
const name = 'pinned-sample';
const version = '1.0.0';
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pinned-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

const sumOf = (bytes: Buffer): string =>
  `sha512-${createHash('sha512').update(bytes).digest('base64')}`;

/** The archive of a package with one program in it. */
function packageWith(text: string): Buffer {
  const source = mkdtempSync(join(folder, 'source-'));
  mkdirSync(join(source, 'package'));
  writeFileSync(join(source, 'package', 'package.json'), JSON.stringify({ name, version }));
  writeFileSync(join(source, 'package', 'program.js'), text);
  execFileSync('tar', ['-czf', join(source, 'package.tgz'), '-C', source, 'package']);
  return readFileSync(join(source, 'package.tgz'));
}

/** A registry on this machine that gives `archive`, and says itself that all is well with it. */
async function serve(archive: Buffer) {
  const server = createServer((request, response) => {
    const { port } = server.address() as AddressInfo;
    const tarball = `http://127.0.0.1:${port}/archive.tgz`;
    const release = { name, version, dist: { tarball, integrity: sumOf(archive) } };
    const about = { name, 'dist-tags': { latest: version }, versions: { [version]: release } };
    response.end(request.url === `/${name}` ? JSON.stringify(about) : archive);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const env = {
    ...process.env,
    npm_config_registry: `http://127.0.0.1:${port}/`,
    npm_config_cache: join(folder, 'cache'),
  };
  return { env, [Symbol.dispose]: () => server.close() };
}

describe('what the base of the image is made from', () => {
  test('is unpacked when its sum is the pinned one', async () => {
    const archive = packageWith('good');
    using registry = await serve(archive);
    const pinned = { name, version, integrity: sumOf(archive) };
    const unpacked = await unpackPinned(pinned, join(folder, 'to'), registry.env);
    expect(readFileSync(join(unpacked, 'program.js'), 'utf8')).toBe('good');
  });

  test('is refused when the registry gives an altered package, and nothing of it is unpacked', async () => {
    using registry = await serve(packageWith('altered'));
    const pinned = { name, version, integrity: sumOf(packageWith('good')) };
    await expect(unpackPinned(pinned, join(folder, 'to'), registry.env)).rejects.toThrow(
      'pinned-sample@1.0.0 is not the package that is pinned',
    );
    expect(existsSync(join(folder, 'to', 'package'))).toBe(false);
  });

  test('is an npm and a Node with sums', () => {
    for (const { integrity } of [npm, pinnedNode(root)])
      expect(integrity).toMatch(/^sha512-[\w+/]{86}==$/);
  });
});

test.each(['docker.io/library/node:24-bookworm-slim', 'node', 'node@sha256:12'])(
  'the base image %s is refused: a name without a digest may mean another image tomorrow',
  (base) => {
    const script = join(root, 'scripts', 'image.mjs');
    const { status, stderr } = spawnSync(process.execPath, [script, '--base', base], {
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: `gpfs-csi: --base ${base} names no digest: give it as IMAGE@sha256:DIGEST\n`,
    });
  },
);
