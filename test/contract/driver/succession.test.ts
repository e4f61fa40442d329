import { join } from 'node:path';
import { expect, test } from 'vitest';
import { newSnapshot, newVolume, remove } from '../../support/disk/csi.ts';
import { readProc } from '../../support/disk/processes.ts';
import type { RealServer } from '../../support/disk/real-server.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { imageOnDisk } from '../../support/disk/real-truth.ts';
import { lettersOf, overwrite, stallInFill } from '../../support/disk/stalled-fill.ts';

// A driver process that starts on a node follows an earlier one. Nothing of that one may act after it registered:
// other servers take the registration as the proof of that, and go on with what the earlier one had begun.

const site = await realSite();
const b = await site.serve('b1');

/** Whether a process runs, in whatever state; one that ended and was not waited for does not. */
function runs(pid: number): boolean {
  const stat = readProc(pid, 'stat');
  return stat !== '' && !stat.includes(') Z ');
}

/** Until its log says how the fill ended. */
const isFilling = (server: RealServer): boolean =>
  !/volume filled|work in the background failed/.test(server.log());

test('a driver that stalls writes nothing into a volume that others filled and gave out meanwhile', async () => {
  const mib = 256;
  const old = await site.serve('a1');
  const source = await newVolume(b, 'source', { mib });
  const written = await overwrite(site.root, b, source, { text: 's', mib });
  await written();
  const snapshot = await newSnapshot(b, 'cut', source);
  const { ask, lost } = await stallInFill(site.root, old, snapshot, mib);
  // At another socket, because the kernel still takes connections for one that is stopped.
  const next = await site.serve('a1', { socket: join(site.directory, 'a1-next.sock') });
  const made = (await b.ok('CreateVolume', ask)).volume?.volume_id ?? '';
  const path = imageOnDisk(site.root, made);
  expect(await lettersOf(path, mib)).toEqual({ s: mib });
  const done = await overwrite(site.root, b, made, { text: 'p', mib });
  old.signal('SIGCONT');
  await lost;
  await expect.poll(() => runs(old.pid) && isFilling(old)).toBe(false);
  expect(await lettersOf(path, mib)).toEqual({ p: mib });
  await done();
  await remove(b, { volumes: [made, source], snapshots: [snapshot] });
  await next.end();
});
