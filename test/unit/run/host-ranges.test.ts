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
const always = () => Promise.resolve();

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
        await files.copyRange(from, to, range, always);
        if (end % 2 === 0) await files.copyRange(from, to, range, always);
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
  await expect(
    files.copyRange(from, to, { offset: 0n, length: MiB }, always),
  ).rejects.toMatchObject({
    code: 'EIO',
  });
});

test('zeros allocate blocks', async () => {
  const path = join(folder, 'zeros');
  await files.createSparse(path, 9n * MiB, 0o600);
  await files.writeZeros(path, { offset: MiB, length: 8n * MiB }, always);
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
    () => files.copyRange(link, other, range, always),
    () => files.copyRange(other, link, range, always),
    () => files.writeZeros(link, range, always),
  ])
    await expect(call()).rejects.toMatchObject({ code: 'ELOOP' });
  expect((await readFile(real)).toString('utf8', 0, 1)).toBe('x');
});

/** Allows the first write, and then stops this process for longer than an answer counts, as SIGSTOP does. */
function oneWrite() {
  let asked = 0;
  return () => {
    asked += 1;
    if (asked > 1) return Promise.reject(new Error('the claim was taken over'));
    setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200));
    return Promise.resolve();
  };
}

test('a process that was stopped asks before it writes on, and writes nothing more where it may not', async () => {
  const chunk = 4 * 1024 * 1024;
  const [from, to] = [join(folder, 'asked-from'), join(folder, 'asked-to')];
  await writeFile(from, Buffer.alloc(4 * chunk, 'x'));
  const range = { offset: 0n, length: BigInt(4 * chunk) };
  for (const write of [
    () => files.copyRange(from, to, range, oneWrite()),
    () => files.writeZeros(to, range, oneWrite()),
  ]) {
    await files.createSparse(to, range.length, 0o600);
    await expect(write()).rejects.toThrow('the claim was taken over');
    expect((await stat(to)).blocks * 512).toBe(chunk);
    await rm(to);
  }
});

test('nothing at all is written where it may not be from the start', async () => {
  const [from, to] = [join(folder, 'never-from'), join(folder, 'never-to')];
  await writeFile(from, Buffer.alloc(grain, 'x'));
  await files.createSparse(to, MiB, 0o600);
  const never = () => Promise.reject(new Error('the claim was taken over'));
  const range = { offset: 0n, length: BigInt(grain) };
  for (const write of [
    () => files.copyRange(from, to, range, never),
    () => files.writeZeros(to, range, never),
  ])
    await expect(write()).rejects.toThrow('the claim was taken over');
  expect((await stat(to)).blocks).toBe(0);
});
