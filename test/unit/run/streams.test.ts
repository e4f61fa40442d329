import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { stoppedUnless, whileAllowed, whileFilled } from '../../../src/run/streams.ts';

test('a file that another program fills is looked at until that ends', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'streams-'));
  const path = join(directory, 'file');
  await writeFile(path, Buffer.alloc(64 * 1024, 'x'), { flush: true });
  await using file = await open(path);
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
  expect(await whileFilled(file, progress, work, 1)).toBe('done');
  expect(seen).toBeGreaterThanOrEqual(64 * 1024);
  const none = whileFilled(file, progress, Promise.reject(new Error('no')), 1);
  await expect(none).rejects.toThrow('no');
  await rm(directory, { recursive: true });
});

/** Allows so many questions. */
function allowed(times: number) {
  let asked = 0;
  return () => ((asked += 1) > times ? Promise.reject(new Error('taken over')) : Promise.resolve());
}

test('a stream that was held up is not handed on where its bytes may not be written any more', async () => {
  const held = async function* () {
    yield Buffer.from('a');
    await sleep(150);
    yield Buffer.from('b');
  };
  const seen: string[] = [];
  const read = async () => {
    for await (const chunk of whileAllowed(held(), allowed(1))) seen.push(chunk.toString());
  };
  await expect(read()).rejects.toThrow('taken over');
  expect(seen).toEqual(['a']);
});

test('a program that writes is stopped when it may not write any more, and the reason is thrown', async () => {
  const { signal } = new AbortController();
  const until = (stop: AbortSignal) =>
    new Promise<never>((_, reject) => {
      stop.addEventListener('abort', () => {
        reject(new Error('the program was killed'));
      });
    });
  await expect(stoppedUnless(allowed(2), signal, until, 1)).rejects.toThrow('taken over');
  const done = stoppedUnless(allowed(2), signal, () => Promise.resolve('done'), 1);
  expect(await done).toBe('done');
  const never = stoppedUnless(allowed(0), signal, () => Promise.resolve('done'), 1);
  await expect(never).rejects.toThrow('taken over');
});
