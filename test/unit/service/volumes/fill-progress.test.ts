import { expect, test } from 'vitest';
import { GiB } from '../../../../src/model/bytes.ts';
import { silentLog } from '../../../../src/observe/log.ts';
import type { FillProgress } from '../../../../src/service/host.ts';
import { clusterWithRoot, from, serverOn, spec } from '../../../support/memory/driver.ts';

const parameters = { provisioning: 'thick' };
const steps = ['allocating', 'copying'] as const;

/** Makes a thick volume, and a copy of it; 3 parts are filled. */
const fillThree = async (options: Parameters<typeof serverOn>[2]) => {
  const gpfs = await clusterWithRoot();
  const { volumes } = serverOn(gpfs, 'a1', { ...options, allocate: () => Promise.resolve(true) });
  const range = { requiredBytes: GiB, limitBytes: 0n };
  const source = await volumes.create(spec('v', { parameters, range }));
  await volumes.create(spec('copy', { parameters, range, source: from('volume', source) }));
};
const all: readonly FillProgress[] = [
  { volume: 'v', step: 'allocating', done: GiB, of: GiB },
  { volume: 'copy', step: 'allocating', done: GiB, of: GiB },
  { volume: 'copy', step: 'copying', done: GiB, of: GiB },
];

test('each part that is filled goes to the progress port, and to the log where there is none', async () => {
  const logged: object[] = [];
  const info = (fields: object, message: string) => {
    const step = steps.find((each) => each === message);
    if (step) logged.push({ ...fields, step });
  };
  const log = { ...silentLog, info };
  await fillThree({ log });
  expect(logged).toEqual(all);
  const reported: FillProgress[] = [];
  await fillThree({ log, progress: (at) => void reported.push(at) });
  expect(reported).toEqual(all);
  expect(logged).toHaveLength(all.length);
});
