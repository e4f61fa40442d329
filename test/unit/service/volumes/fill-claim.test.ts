import { expect, test } from 'vitest';
import { GiB } from '../../../../src/model/bytes.ts';
import type { Allocate } from '../../../../src/linux/fallocate.ts';
import type { MayWrite } from '../../../../src/run/files.ts';
import {
  clusterWithRoot,
  from,
  serverOn,
  snap,
  spec,
  testRoot,
} from '../../../support/memory/driver.ts';
import { writeVolume } from '../../../support/memory/truth.ts';

// Each write of data is checked against the claim: what it asks before it writes, and what it gets to hear.

const thick = { parameters: { provisioning: 'thick' } };
const size = (requiredBytes: bigint) => ({ range: { requiredBytes, limitBytes: 0n } });
const takenOver = {
  fault: { kind: 'busy' },
  message: 'volume v was taken over by another server; try again',
};

const able: Allocate = () => Promise.resolve(true);
const unable: Allocate = () => Promise.resolve(false);

/** A server whose claims end just before it writes data, as when another server takes them over. */
async function overtaken(allocate: Allocate) {
  const gpfs = await clusterWithRoot();
  const first = serverOn(gpfs, 'b1', { allocate: able });
  const [store] = await first.roots.all();
  const refusals: unknown[] = [];
  const unless = (may: MayWrite) => async () => {
    await may();
    await store?.volumes.update('v', (now) => ({ ...now, claim: null }));
    await may().catch((error: unknown) => {
      refusals.push(error);
      throw error;
    });
  };
  const { copyRange, writeZeros } = gpfs.files;
  const files: typeof gpfs.files = {
    ...gpfs.files,
    copyRange: (one, other, range, may) => copyRange(one, other, range, unless(may)),
    writeZeros: (path, range, may) => writeZeros(path, range, unless(may)),
  };
  const late = serverOn({ ...gpfs.server('a1'), files }, 'a1', { roots: [testRoot], allocate });
  return { gpfs, first, late, refusals };
}

test('the zeros of a new thick volume are not written under a lost claim', async () => {
  const { late, refusals } = await overtaken(unable);
  const made = late.volumes.create(spec('v', { ...thick, ...size(GiB) }));
  await expect(made).rejects.toMatchObject({ fault: { kind: 'busy' } });
  expect(refusals[0]).toMatchObject(takenOver);
});

test('a copy is not continued under a lost claim', async () => {
  const { gpfs, first, late, refusals } = await overtaken(able);
  const { id } = await first.volumes.create(spec('source'));
  writeVolume(gpfs, 'source', 'data');
  const cut = await first.snapshots.create(snap('cut', { id }));
  const made = late.volumes.create(spec('v', { ...thick, source: from('snapshot', cut) }));
  await expect(made).rejects.toMatchObject({ fault: { kind: 'busy' } });
  expect(refusals[0]).toMatchObject(takenOver);
});

test('the zeros of an expansion are not written under a lost claim', async () => {
  const { first, late, refusals } = await overtaken(unable);
  const { id } = await first.volumes.create(spec('v', { ...thick, ...size(GiB) }));
  const grown = late.volumes.expand(id, { requiredBytes: 2n * GiB, limitBytes: 0n }, undefined);
  await expect(grown).rejects.toMatchObject({ fault: { kind: 'busy' } });
  expect(refusals[0]).toMatchObject(takenOver);
});
