import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { newSnapshot, newVolume, remove } from '../../support/disk/csi.ts';
import { parentOf, readProc, signal } from '../../support/disk/processes.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { imageOnDisk, recordsOnDisk } from '../../support/disk/real-truth.ts';
import { lettersIn, lettersOf, overwrite } from '../../support/disk/stalled-fill.ts';

// A redirect outlives the server that ran it. On a GPFS that copies over what is written meanwhile, it would destroy
// what a pod on another node writes, were the volume given out before the command has ended.

const site = await realSite();
const servers = [await site.serve('a1'), await site.serve('b1')] as const;
const mib = 8;

/** Waits until a redirect runs, and stops it; resolves to its process. */
async function stopRedirect(): Promise<number> {
  for (;;) {
    const [found] = site
      .commands()
      .filter((pid) => readProc(pid, 'cmdline').split('\0').includes('redirect'));
    if (found !== undefined) {
      signal(found, 'SIGSTOP');
      return found;
    }
    await sleep(5);
  }
}

test('a redirect that outlives its server has ended before the volume is attached elsewhere', async () => {
  const [a] = servers;
  const id = await newVolume(a, 'late', { mib });
  const write = async (text: string) => {
    const detach = await overwrite(site.root, a, id, { text, mib });
    await detach();
  };
  await write('o');
  const snapshot = await newSnapshot(a, 'cut', id);
  await write('n');
  await site.set({ latencyMs: 2_000, redirectKeeps: false });
  await remove(a, { snapshots: [snapshot] });
  const late = await stopRedirect();
  const [working, asked] = parentOf(late) === servers[0].pid ? servers : [servers[1], servers[0]];
  expect(working.pid).toBe(parentOf(late));
  await site.set({ latencyMs: 0 });
  await working.end('SIGKILL');
  const next = site.serve(working.node);
  const detach = await overwrite(site.root, asked, id, { text: 'p', mib });
  await using file = await open(imageOnDisk(site.root, id), 'r+');
  signal(late, 'SIGCONT');
  await site.quiet();
  expect(await lettersIn(file, mib)).toEqual({ p: mib });
  await next;
  await site.set({ redirectKeeps: true });
  await file.close();
  await detach();
  await expect.poll(() => recordsOnDisk(site.root, 'hidden'), { timeout: 30_000 }).toEqual([]);
  expect(await lettersOf(imageOnDisk(site.root, id), mib)).toEqual({ p: mib });
  await remove(asked, { volumes: [id] });
});
