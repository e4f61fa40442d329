import { describe, expect, test } from 'vitest';
import { inContext } from '../../../src/observe/context.ts';
import { silentLog, type Fields, type Log } from '../../../src/observe/log.ts';
import { claimsOf } from '../../../src/service/claims/claims.ts';
import { takeLease } from '../../../src/service/compaction/lease.ts';
import { goneAfterMs } from '../../../src/store/nodes.ts';
import { clusterWithRoot, serverOn, tend } from '../../support/memory/driver.ts';
import { fenceWorld } from '../../support/memory/fencing.ts';
import {
  all,
  create,
  cut,
  drop,
  idOf,
  restore,
  write,
  type Site,
} from '../../support/memory/site.ts';
import { attach } from '../../support/memory/world.ts';

// What a person wonders about is in the log, once for each event.

type Line = readonly [message: string, fields: Fields];

/** A log, and what was written to it at level info and above. */
function listening(): { readonly log: Log; readonly lines: Line[] } {
  const lines: Line[] = [];
  const say = (fields: Fields, message: string) => void lines.push([message, fields]);
  return { log: { ...silentLog, info: say, warn: say, error: say }, lines };
}

/** A server on node a1 that is listened to, from the moment its root is open. */
async function listenedSite() {
  const gpfs = await clusterWithRoot();
  const { log, lines } = listening();
  const driver = serverOn(gpfs, 'a1', { log });
  const [store] = await driver.roots.all();
  if (!store) throw new Error('the root is not there');
  lines.length = 0;
  const here: Site = { gpfs, driver, root: store.id };
  const said = (message: string) => lines.filter((line) => line[0].includes(message));
  return { here, store, said };
}

describe('a deleted snapshot', () => {
  test('whose file stays says so once, with its children, and once more when it goes', async () => {
    const { here, store, said } = await listenedSite();
    await create(here, 'v');
    await cut(here, 's', 'v');
    await restore(here, 'r', 's');
    const key = (await store.snapshots.read('s'))?.value.file?.key;
    await drop(here, 's');
    await drop(here, 's');
    expect(said('stays as a tombstone')).toEqual([
      [expect.anything(), { snapshot: 's', key, children: 2 }],
    ]);
    expect(said('removed a clone parent')).toEqual([]);
    for (const name of ['v', 'r']) await here.driver.volumes.remove(idOf(here, name).id);
    await tend(here.driver);
    expect(said('removed a clone parent')).toEqual([
      [expect.anything(), { key, why: 'tombstone' }],
    ]);
  });

  test('whose file goes with it says nothing', async () => {
    const { here, said } = await listenedSite();
    await create(here, 'v');
    await cut(here, 's', 'v');
    await here.driver.volumes.remove(idOf(here, 'v').id);
    await drop(here, 's');
    expect([said('tombstone'), said('clone parent')]).toEqual([[], []]);
  });
});

test('an item of the queue that waits says why once, however often a server checks it', async () => {
  const { here, said } = await listenedSite();
  await create(here, 'v');
  await here.driver.attachments.publish(attach(idOf(here, 'v').id));
  await cut(here, 's', 'v');
  write(here, 'v', 'later', ...all);
  await drop(here, 's');
  for (let hour = 0; hour < 5; hour++) {
    await tend(here.driver);
    here.gpfs.clock.tick(3_600_001);
  }
  const why = 'attached to node a1, and compaction of attached volumes is off';
  expect(said('waits')).toEqual([['work on a clone tree waits', { name: 'v', why }]]);
});

describe('a server that takes over', () => {
  const twoServers = async () => {
    const { here, store, said } = await listenedSite();
    const lost = serverOn(here.gpfs.server('b1'), 'b1');
    await lost.roots.all();
    return { here, store, said, lost };
  };

  test('says whose lease it took', async () => {
    const { here, store, said, lost } = await twoServers();
    const { host } = here.driver;
    expect(await takeLease(lost.host, store)).toBeDefined();
    expect(await takeLease(host, store)).toBeUndefined();
    here.gpfs.clock.tick(goneAfterMs + 1);
    for (let round = 0; round < 3; round++) await (await takeLease(host, store))?.release();
    const { root } = store.layout;
    expect(said('took over')).toEqual([[expect.anything(), { root, node: 'b1' }]]);
  });

  test('says whose deletion of a snapshot it ends, and which request began it', async () => {
    const { here, store, said, lost } = await twoServers();
    await create(here, 'v');
    await cut(here, 's', 'v');
    const { claim } = inContext({ requestId: 'r-1' }, () =>
      lost.host.claims.begin({ op: 'delete' }),
    );
    await store.snapshots.update('s', (now) => ({ ...now, state: 'deleting', claim }));
    await expect(drop(here, 's')).rejects.toThrow(/at work on it/);
    here.gpfs.clock.tick(goneAfterMs + 1);
    await drop(here, 's');
    expect(said('finishing')).toEqual([
      [expect.anything(), { snapshot: 's', op: 'delete', node: 'b1', begunBy: 'r-1' }],
    ]);
  });
});

test('a fence says that it ended, and which clone parent stays', async () => {
  const { log, lines } = listening();
  const { gpfs, id, mark, store } = await fenceWorld();
  await mark('lost1');
  await serverOn(gpfs, 'a1', { log }).attachments.publish(attach(id));
  const parent = (await store.volumes.read('v'))?.value.parent;
  const said = lines.filter(([message]) => message.includes('cut off'));
  expect(said).toEqual([[expect.anything(), { volume: 'v', parent }]]);
});

test('a claim that cannot be given back says so once, and again only after it was', async () => {
  const { here } = await listenedSite();
  const { log, lines } = listening();
  const claims = claimsOf({ ...here.driver.host, log });
  let isAway = true;
  const attempt = () => (isAway ? Promise.reject(new Error('away')) : Promise.resolve());
  await claims.release(attempt);
  for (let round = 0; round < 3; round++) await claims.retry();
  expect(lines).toHaveLength(1);
  isAway = false;
  await claims.retry();
  isAway = true;
  await claims.release(attempt);
  expect(lines).toHaveLength(2);
});
