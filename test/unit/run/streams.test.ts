import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { telling } from '../../../src/cli/command/local-driver.ts';
import { silentLog } from '../../../src/observe/log.ts';
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

test('people are told of a copy, and the log of everything else', () => {
  const told: number[] = [];
  const logged: string[] = [];
  const log = { ...silentLog, info: (_: object, message: string) => void logged.push(message) };
  const both = telling(log, (bytes) => void told.push(bytes));
  both.info({ done: 3n, of: 4n }, 'copying');
  both.info({ volume: 'v' }, 'volume filled');
  telling(log, undefined).info({ done: 4n }, 'copying');
  expect([told, logged]).toEqual([[3], ['volume filled', 'copying']]);
});
