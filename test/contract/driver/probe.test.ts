import { readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { simulateStatus } from '../../../src/simulator/disk/lifecycle/status.ts';
import type { AbilitiesFile } from '../../../src/store/abilities.ts';
import {
  asBlock,
  asMount,
  fromSnapshot,
  newSnapshot,
  newVolume,
  remove,
  use,
} from '../../support/disk/csi.ts';
import type { RealServer } from '../../support/disk/real-server.ts';
import { realSite } from '../../support/disk/real-site.ts';

// Real processes, real loop devices, and a GPFS that answers one way or the other.

const site = await realSite();
const abilities = join(site.root, '.gpfs-csi', 'abilities.json');
const area = join(site.root, '.gpfs-csi', 'probe');
const servers: RealServer[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.end();
  await rm(abilities, { force: true });
});

const defaults = {
  snapOpen: true,
  redirectOpen: true,
  redirectParent: false,
  renameParent: true,
  chmodParent: true,
  writeParent: false,
  linkCount: true,
  removeParent: 'EROFS',
  loopDirectIo: true,
  zeroInClone: true,
  punchHole: true,
  deleteWindowMs: 0,
};

async function serve(node: string, flags: Readonly<Record<string, string>> = {}) {
  const server = await site.serve(node, { flags: { probe: 'auto', ...flags } });
  servers.push(server);
  return server;
}

/** What a server finds out at its start on a GPFS like this one. */
async function probed(
  change: Partial<Record<keyof typeof defaults, unknown>>,
  flags: Readonly<Record<string, string>> = {},
) {
  await site.set({ ...defaults, ...change });
  const server = await serve('a1', flags);
  return { server, found: await untilProbed(server) };
}

async function untilProbed(server: RealServer): Promise<AbilitiesFile> {
  for (let tries = 0; tries < 1500; tries += 1) {
    if (/GPFS was probed|not as it should be/.test(server.log()))
      return JSON.parse(await readFile(abilities, 'utf8')) as AbilitiesFile;
    await sleep(20);
  }
  throw new Error(`nothing was probed:\n${server.log()}`);
}

const kinds = ({ outcomes }: AbilitiesFile): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(outcomes ?? {}).map(([trial, { kind }]) => [trial, kind]));

const nothingLeft = async () => {
  expect(await readdir(area)).toEqual([]);
  expect(site.inUse()).toEqual([]);
  expect((await simulateStatus({ dir: site.simulator })).damaged).toEqual([]);
};

const documented = {
  snap: 'yes',
  show: 'yes',
  copy: 'yes',
  linkCount: 'yes',
  writeParent: 'no',
  chmodParent: 'yes',
  renameParent: 'yes',
  removeParent: 'no',
  redirectPlain: 'no',
  splitPlain: 'no',
  snapOpen: 'yes',
  redirectParent: 'no',
  redirectOpen: 'yes',
  directIo: 'yes',
  punchHole: 'yes',
  zeroInClone: 'yes',
  removeChild: 'yes',
  removeChildless: 'yes',
};

describe('a server at its start', () => {
  test('finds out what a documented GPFS does, and leaves nothing', async () => {
    const { found } = await probed({});
    expect(found).toMatchObject({ node: 'a1', complete: true });
    expect(kinds(found)).toEqual(documented);
    for (const command of ['mmclone snap', 'mmclone show', 'mmclone copy', 'mmclone redirect'])
      expect(found.latencyMs?.[command]).toBeGreaterThan(0);
    await nothingLeft();
  });

  test('finds out each other answer', async () => {
    const { server, found } = await probed({
      snapOpen: false,
      redirectOpen: false,
      redirectParent: true,
      renameParent: false,
      chmodParent: false,
      linkCount: false,
      removeParent: 'EBUSY',
      deleteWindowMs: 300,
      loopDirectIo: false,
      zeroInClone: false,
      punchHole: false,
    });
    expect(kinds(found)).toEqual({
      ...documented,
      snapOpen: 'no',
      redirectOpen: 'no',
      redirectParent: 'yes',
      renameParent: 'no',
      chmodParent: 'no',
      linkCount: 'no',
      directIo: 'no',
      zeroInClone: 'no',
      punchHole: 'no',
    });
    expect(found.outcomes?.['removeParent']?.why).toBe('EBUSY');
    expect(found.outcomes?.['removeChildless']?.ms).toBeGreaterThanOrEqual(300);
    await site.set(defaults);
    // GPFS kept some of it past the patience of a probe that had to go on; the next one takes it away.
    await rm(abilities);
    await server.end();
    await serve('a1').then(untilProbed);
    await nothingLeft();
  });

  test('says so loudly where parents are not protected', async () => {
    const { server, found } = await probed({ writeParent: true });
    expect(kinds(found)).toMatchObject({ writeParent: 'yes' });
    expect(server.log()).toContain('not as it should be');
    await nothingLeft();
  });

  test('does it once for all servers', async () => {
    const { found } = await probed({});
    const other = await serve('b1');
    await sleep(500);
    expect(other.log()).not.toContain('GPFS was probed');
    expect(JSON.parse(await readFile(abilities, 'utf8'))).toEqual(found);
  });

  test('that was killed in a probe takes away what is left of it when it is back', async () => {
    for (const afterMs of [150, 400, 700, 1000, 1300]) {
      await rm(abilities, { force: true });
      const server = await serve('a1');
      await sleep(afterMs);
      await server.end('SIGKILL');
      await site.quiet();
    }
    // The last of them may have come to its end before it was killed.
    await rm(abilities, { force: true });
    const { found } = await probed({});
    expect(found.complete).toBe(true);
    await nothingLeft();
  });
});

describe('where zeros in a clone show the parent again', () => {
  test('a restore is used read-only or not at all, and nothing that is written to is cut', async () => {
    const { server } = await probed({ zeroInClone: false });
    const plain = await newVolume(server, 'z-plain');
    const cut = await newSnapshot(server, 'z-snap', plain);
    const restored = await newVolume(server, 'z-restore', { from: fromSnapshot(cut) });
    const ask = { volume_id: restored, volume_capability: asMount() };
    await server.ok('ControllerPublishVolume', { ...ask, node_id: 'a1' });
    const { staging } = await site.place('z-restore');
    expect(
      await server.refused('NodeStageVolume', { ...ask, staging_target_path: staging }),
    ).toMatch(/^FAILED_PRECONDITION volume \S+ cannot be staged: .* read-only here/);
    await server.ok('ControllerUnpublishVolume', { volume_id: restored, node_id: 'a1' });
    const fresh = await newVolume(server, 'z-fresh');
    const used = await use(site, server, fresh, asMount());
    for (const [rpc, request] of [
      ['CreateSnapshot', { name: 'z-late', source_volume_id: fresh }],
    ] as const)
      expect(await server.refused(rpc, request)).toMatch(
        /^FAILED_PRECONDITION volume \S+ is attached to node a1 .* being written to; detach it first/,
      );
    await used.release();
    await remove(server, { volumes: [restored, fresh, plain], snapshots: [cut] });
  });
});

describe('where no loop device has direct I/O', () => {
  test('nothing is staged, unless the operator takes buffered ones, and never shared block', async () => {
    const { server } = await probed({ loopDirectIo: false });
    const id = await newVolume(server, 'd-one');
    const { staging } = await site.place('d-one');
    const ask = { volume_id: id, volume_capability: asBlock(), staging_target_path: staging };
    await server.ok('ControllerPublishVolume', { ...ask, node_id: 'a1' });
    expect(await server.refused('NodeStageVolume', ask)).toMatch(
      /^FAILED_PRECONDITION .*--allow-buffered/,
    );
    await server.end();
    const lenient = await serve('a1', { 'allow-buffered': 'true' });
    await lenient.ok('NodeStageVolume', ask);
    await lenient.ok('NodeUnstageVolume', { volume_id: id, staging_target_path: staging });
    await lenient.ok('ControllerUnpublishVolume', { volume_id: id, node_id: 'a1' });
    const shared = { ...ask, volume_capability: asBlock('MULTI_NODE_MULTI_WRITER') };
    await lenient.ok('ControllerPublishVolume', { ...shared, node_id: 'a1' });
    expect(await lenient.refused('NodeStageVolume', shared)).toMatch(
      /^FAILED_PRECONDITION .*stale data of a shared block volume/,
    );
    await lenient.ok('ControllerUnpublishVolume', { volume_id: id, node_id: 'a1' });
    await remove(lenient, { volumes: [id] });
  });
});

describe('where an open file cannot be cut', () => {
  test('a snapshot of an attached volume is refused, of a detached one it is taken', async () => {
    const { server } = await probed({ snapOpen: false });
    const id = await newVolume(server, 'o-one');
    const used = await use(site, server, id, asBlock());
    const request = { name: 'o-snap', source_volume_id: id };
    expect(await server.refused('CreateSnapshot', request)).toMatch(
      /^FAILED_PRECONDITION .*refuses mmclone snap of a file that is open; detach it first/,
    );
    await used.release();
    const cut = await newSnapshot(server, 'o-snap', id);
    await remove(server, { volumes: [id], snapshots: [cut] });
  });
});
