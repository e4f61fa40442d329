import { expect, test } from 'vitest';
import type { Files } from '../../../src/run/files.ts';
import type { Driver } from '../../../src/service/driver.ts';
import { block, clusterWithRoot, serverOn, spec } from '../../support/memory/driver.ts';

/** The same files, and how often a call waited for the disk. */
function counting(files: Files) {
  let syncs = 0;
  return {
    syncs: () => syncs,
    files: {
      ...files,
      createDurable: (...given: Parameters<Files['createDurable']>) => {
        syncs += 1;
        return files.createDurable(...given);
      },
      syncDirectory: (path: string) => {
        syncs += 1;
        return files.syncDirectory(path);
      },
    },
  };
}

const range = { requiredBytes: 128n << 20n, limitBytes: 0n };
const attach = (driver: Driver, id: string) =>
  driver.attachments.publish({
    id,
    node: 'a1',
    capability: block(),
    readonly: false,
    context: new Map(),
  });

test('a request that needs no command waits for the disk three times at most', async () => {
  const gpfs = await clusterWithRoot();
  const view = gpfs.server('a1');
  const { files, syncs } = counting(view.files);
  const driver = serverOn({ ...view, files });
  const { id } = await driver.volumes.create(spec('first'));

  const requests: Readonly<Record<string, () => Promise<unknown>>> = {
    create: () => driver.volumes.create(spec('second')),
    again: () => driver.volumes.create(spec('second')),
    expand: () => driver.volumes.expand(id, range, block()),
    publish: () => attach(driver, id),
    unpublish: () => driver.attachments.unpublish(id, 'a1'),
    list: () => driver.volumes.list({ max: 0, token: '' }),
    delete: () => driver.volumes.remove(id),
  };
  const seen: Record<string, number> = {};
  for (const [name, request] of Object.entries(requests)) {
    const before = syncs();
    await request();
    seen[name] = syncs() - before;
  }
  expect(seen).toEqual({
    create: 3,
    again: 0,
    expand: 3,
    publish: 2,
    unpublish: 2,
    list: 0,
    delete: 3,
  });
});
