import { open } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { newSnapshot, newVolume, remove } from '../../support/disk/csi.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { imageOnDisk } from '../../support/disk/real-truth.ts';
import { lettersIn, lettersOf, overwrite, stallInFill } from '../../support/disk/stalled-fill.ts';
import { makeSilent } from '../../support/disk/takeover.ts';

// Another server takes a fill over from one that is silent. That one writes nothing more once it continues.

const site = await realSite();
const b = await site.serve('b1');

/** What one write of a copy has at most: it may have been under way when its server stopped. */
const chunkMib = 4;

test('a fill that was taken over writes nothing more when its server wakes up', async () => {
  const mib = 256;
  const a = await site.serve('a1');
  const source = await newVolume(b, 'source', { mib });
  const detach = await overwrite(site.root, b, source, { text: 's', mib });
  await detach();
  const snapshot = await newSnapshot(b, 'cut', source);
  const { ask, lost, path } = await stallInFill(site.root, a, snapshot, mib);
  await using file = await open(path);
  const before = (await lettersIn(file, mib))['s'] ?? 0;
  await makeSilent(site.root, a.node, 200);
  const made = (await b.ok('CreateVolume', ask)).volume?.volume_id ?? '';
  a.signal('SIGCONT');
  // Either it asks again by itself and finds what the other server made, or its caller must.
  expect(['OK', 'ABORTED']).toContain((await lost).code);
  expect(await a.ok('CreateVolume', ask)).toMatchObject({ volume: { volume_id: made } });
  const after = (await lettersIn(file, mib))['s'] ?? 0;
  expect(after - before).toBeLessThanOrEqual(chunkMib);
  expect(await lettersOf(imageOnDisk(site.root, made), mib)).toEqual({ s: mib });
  await remove(b, { volumes: [made, source], snapshots: [snapshot] });
  expect(await a.end()).toBe(0);
});
