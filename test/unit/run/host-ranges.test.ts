import { mkdtemp, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { hostFiles } from '../../../src/run/host-files.ts';

const files = hostFiles();
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gpfs-csi-ranges-'));
});
afterAll(() => rm(folder, { recursive: true }));

const grain = 64 * 1024;

test('a copy in any parts, twice over, is the same bytes, and its holes stay holes', async () => {
  const part = fc.record({
    at: fc.integer({ min: 0, max: 40 }),
    bytes: fc.integer({ min: 1, max: 3 * grain }),
  });
  const cuts = fc.array(fc.integer({ min: 1, max: 50 * grain }), { maxLength: 4 });
  let n = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 4 }), cuts, async (parts, edges) => {
      const size = 50 * grain + 1000;
      const [from, to] = [join(folder, `from-${(n += 1)}`), join(folder, `to-${n}`)];
      const data = Buffer.alloc(size);
      for (const { at, bytes } of parts) data.fill('x', at * grain, at * grain + bytes);
      await writeFile(from, data);
      await files.createSparse(to, BigInt(size), 0o600);
      const all = [0, ...edges.sort((a, b) => a - b), size];
      for (const end of all.slice(1).keys()) {
        const [offset, next] = [all[end] ?? 0, all[end + 1] ?? size];
        const range = { offset: BigInt(offset), length: BigInt(next - offset) };
        await files.copyRange(from, to, range);
        if (end % 2 === 0) await files.copyRange(from, to, range);
      }
      expect((await readFile(to)).equals(data)).toBe(true);
      if (parts.length === 0) expect((await stat(to)).blocks).toBe(0);
    }),
    { numRuns: 30 },
  );
});

test('a source that ends early is an error, not a hole', async () => {
  const [from, to] = [join(folder, 'short'), join(folder, 'target')];
  await writeFile(from, 'x');
  await files.createSparse(to, MiB, 0o600);
  await expect(files.copyRange(from, to, { offset: 0n, length: MiB })).rejects.toMatchObject({
    code: 'EIO',
  });
});

test('zeros allocate blocks', async () => {
  const path = join(folder, 'zeros');
  await files.createSparse(path, 9n * MiB, 0o600);
  await files.writeZeros(path, { offset: MiB, length: 8n * MiB });
  expect((await stat(path)).blocks * 512).toBeGreaterThanOrEqual(8 * 2 ** 20);
  expect((await stat(path)).size).toBe(9 * 2 ** 20);
});

test('nothing is read or written through a symbolic link', async () => {
  const [real, link, other] = ['real', 'link', 'other'].map((name) => join(folder, name));
  if (!real || !link || !other) throw new Error('no names');
  await writeFile(real, 'x');
  await truncate(real, 4096);
  await writeFile(other, Buffer.alloc(4096));
  await symlink(real, link);
  const range = { offset: 0n, length: 4096n };
  for (const call of [
    () => files.copyRange(link, other, range),
    () => files.copyRange(other, link, range),
    () => files.writeZeros(link, range),
  ])
    await expect(call()).rejects.toMatchObject({ code: 'ELOOP' });
  expect((await readFile(real)).toString('utf8', 0, 1)).toBe('x');
});
