import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { whileFilled } from '../../../src/run/streams.ts';

test('a file that another program fills is looked at until that ends', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'streams-'));
  const path = join(directory, 'file');
  await writeFile(path, Buffer.alloc(64 * 1024, 'x'), { flush: true });
  let seen = 0;
  let end = (): void => undefined;
  const work = new Promise<string>((resolve) => {
    end = () => {
      resolve('done');
    };
  });
  const progress = (bytes: number): void => {
    seen = bytes;
    if (bytes >= 64 * 1024) end();
  };
  expect(await whileFilled(path, progress, work, 1)).toBe('done');
  expect(seen).toBeGreaterThanOrEqual(64 * 1024);
  const none = whileFilled(join(directory, 'none'), progress, Promise.reject(new Error('no')), 1);
  await expect(none).rejects.toThrow('no');
  await rm(directory, { recursive: true });
});
