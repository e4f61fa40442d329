import { expect, test } from 'vitest';
import { endsWithin, every } from '../../../../src/cli/server/periodic.ts';
import { silentLog } from '../../../../src/observe/log.ts';

const hour = 3_600_000;

test('who stops rounds waits for the one that is running, and no other begins', async () => {
  const work = Promise.withResolvers<undefined>();
  let begun = 0;
  const rounds = every({ ms: hour, log: silentLog, what: 'work' }, async () => {
    begun += 1;
    await work.promise;
  });
  rounds.now();
  rounds.now();

  let stopped = false;
  const stopping = rounds.stop().then(() => {
    stopped = true;
  });
  await new Promise(setImmediate);
  expect({ begun, stopped }).toEqual({ begun: 1, stopped: false });

  work.resolve(undefined);
  await stopping;
  rounds.now();
  expect({ begun, stopped }).toEqual({ begun: 1, stopped: true });
});

test('a round that failed is logged, and neither stops the next one nor who waits for it', async () => {
  const warned: unknown[] = [];
  const log = { ...silentLog, warn: (fields: object) => warned.push(fields) };
  const failure = new Error('the root is away');
  const rounds = every({ ms: hour, log, what: 'sweep', atOnce: true }, () =>
    Promise.reject(failure),
  );
  await rounds.stop();
  expect(warned).toEqual([{ what: 'sweep', error: failure }]);
});

test('who waits for upkeep gives up in time and says so', async () => {
  const said: string[] = [];
  const log = { ...silentLog, warn: (_: object, text: string) => said.push(text) };
  await endsWithin(hour, [Promise.resolve()], log);
  expect(said).toEqual([]);
  await endsWithin(1, [new Promise(() => undefined)], log);
  expect(said).toEqual([expect.stringContaining('did not end in time')]);
});
