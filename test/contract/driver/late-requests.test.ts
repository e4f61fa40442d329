import { expect, test } from 'vitest';
import { newVolume, remove } from '../../support/disk/csi.ts';
import { realSite } from '../../support/disk/real-site.ts';
import type { RealServer } from '../../support/disk/real-server.ts';

const site = await realSite();
const awake = await site.serve('a1');
const stopped = await site.serve('b1');

const capability = { access_mode: { mode: 'SINGLE_NODE_WRITER' }, block: {} } as const;

const publish = (volume_id: string) => ({
  volume_id,
  node_id: 'a1',
  volume_capability: capability,
  readonly: false,
});

const nodesOf = async (volume_id: string): Promise<readonly string[]> => {
  const { entries } = await awake.ok('ListVolumes', {});
  const found = entries.find(({ volume }) => volume?.volume_id === volume_id);
  return found?.status?.published_node_ids ?? [];
};

/** Asks a server that stands still, until the caller has no more time; then others are asked, and the server goes on. */
async function late(ask: (server: RealServer) => Promise<unknown>, others: () => Promise<unknown>) {
  // Over a connection that exists: a request that could not be sent is not late but lost.
  await stopped.ok('Probe', {});
  const before = stopped.log().length;
  stopped.signal('SIGSTOP');
  try {
    await ask(stopped);
    await others();
  } finally {
    stopped.signal('SIGCONT');
  }
  const since = () => stopped.log().slice(before);
  await expect.poll(since, { timeout: 20_000 }).toContain('after its caller was answered');
  return since();
}

test('an attach that its caller gave up on attaches nothing that was detached meanwhile', async () => {
  const volume_id = await newVolume(awake, 'attach');
  const detach = { volume_id, node_id: 'a1' };
  const log = await late(
    async (server) => {
      const { code } = await server.call('ControllerPublishVolume', publish(volume_id), {
        deadlineMs: 300,
      });
      expect(code).toBe('DEADLINE_EXCEEDED');
    },
    () => awake.ok('ControllerUnpublishVolume', detach),
  );
  expect(await nodesOf(volume_id)).toEqual([]);
  expect(log).toContain('the caller left before this was begun, so nothing was changed');
  await remove(awake, { volumes: [volume_id] });
});

test('a detach that its caller gave up on detaches nothing that was attached meanwhile', async () => {
  const volume_id = await newVolume(awake, 'detach');
  await awake.ok('ControllerPublishVolume', publish(volume_id));
  const detach = { volume_id, node_id: 'a1' };
  await late(
    (server) => server.call('ControllerUnpublishVolume', detach, { deadlineMs: 300 }),
    async () => {
      await awake.ok('ControllerUnpublishVolume', detach);
      await awake.ok('ControllerPublishVolume', publish(volume_id));
    },
  );
  expect(await nodesOf(volume_id)).toEqual(['a1']);
  await awake.ok('ControllerUnpublishVolume', detach);
  await remove(awake, { volumes: [volume_id] });
});
