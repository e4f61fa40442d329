import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { command } from '../../support/disk/command.ts';
import { asBlock, newVolume, remove, use } from '../../support/disk/csi.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk } from '../../support/disk/real-truth.ts';

const site = await realSite();
const other = `${site.root}-2`;
await mkdir(other);
const root = `${site.root},${other}`;
const [a, b] = await Promise.all(['a1', 'b1'].map((node) => site.serve(node, { flags: { root } })));

async function marks(): Promise<readonly string[]> {
  const found = [site.root, other].map((each) =>
    readdir(join(each, '.gpfs-csi', 'marks'), { recursive: true }),
  );
  return (await Promise.all(found)).flat().filter((name) => name.endsWith('.json'));
}

test('a node that was lost with a volume that had moved to another root leaves no mark there', async () => {
  if (!a || !b) throw new Error('the servers did not start');
  const id = await newVolume(a, 'moved-lost', { mib: 16 });
  const moved = await command(site, ['migrate', id, '--to', other, '--root', root]);
  expect(moved).toMatchObject({ code: 0 });
  const old = await use(site, a, id, asBlock());
  await b.ok('ControllerUnpublishVolume', { volume_id: id, node_id: 'a1' });
  // The next node cuts the lost one off, and lets go.
  await (await use(site, b, id, asBlock())).release();
  await remove(b, { volumes: [id] });
  expect(await marks()).toHaveLength(1);
  await a.end('SIGKILL');
  const again = await site.serve('a1', { flags: { root } });
  while (!again.log().includes('was deleted while it was staged here')) await sleep(20);
  await again.ok('NodeUnpublishVolume', { volume_id: id, target_path: old.target });
  await again.ok('NodeUnstageVolume', { volume_id: id, staging_target_path: old.staging });
  expect(await marks()).toEqual([]);
  expect(site.inUse()).toEqual([]);
  // A server that starts reclaims the clone parent of the fence, which the lost node held until now.
  await site.serve('c1', { flags: { root } });
  while ([site.root, other].flatMap((each) => filesOnDisk(each)).length > 0) await sleep(20);
});
