import { readFileSync } from 'node:fs';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { shardOf } from '../../../src/model/ids.ts';
import { asInImage } from '../../bench/program.ts';
import { newVolume } from '../../support/disk/csi.ts';
import type { RealServer } from '../../support/disk/real-server.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { connectTo, type TestClient } from '../../support/server/client.ts';
import { eventually } from '../../support/server/serve.ts';

const site = await realSite();
const records = join(site.root, '.gpfs-csi', 'records', 'volumes');
const mebibyte = 1024 * 1024;
/** The limit of memory in the chart. */
const mostResident = 192 * mebibyte;

/** A number of /proc/PID/status, in bytes: VmRSS is now, VmHWM was the most. */
const memoryOf = ({ pid }: RealServer, name: 'VmRSS' | 'VmHWM'): number =>
  1024 * Number(new RegExp(`^${name}:\\s*(\\d+) kB`, 'm').exec(statusOf(pid))?.[1]);

const statusOf = (pid: number): string => readFileSync(`/proc/${pid}/status`, 'utf8');

/** A volume that was made and deleted, as text of its last record. */
async function deletedRecord(server: RealServer): Promise<string> {
  const volume_id = await newVolume(server, 'model');
  await server.ok('DeleteVolume', { volume_id });
  const shard = join(records, shardOf('model'));
  const [name = ''] = (await readdir(shard)).filter((each) => each.startsWith('model.'));
  return readFile(join(shard, name), 'utf8');
}

/** Puts so many records like this one into the root. */
async function plant(text: string, prefix: string, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    const id = `${prefix}${n}`;
    const shard = join(records, shardOf(id));
    await mkdir(shard, { recursive: true });
    await writeFile(join(shard, `${id}.9`), text.replaceAll('"model"', JSON.stringify(id)));
  }
}

const server = await site.serve('a1', { nodeFlags: asInImage().flags, env: asInImage().env });
let idle = 0;

beforeAll(async () => {
  const text = await deletedRecord(server);
  await plant(text, 'gone', 1000);
  await plant(text.replace('"state": "deleted"', '"state": "ready"'), 'here', 1000);
  // The first list of all reads every record.
  await server.ok('ListVolumes', {});
  idle = memoryOf(server, 'VmRSS');
});

// They name files that are not there.
afterAll(async () => {
  await server.end();
  for (const shard of await readdir(records))
    for (const name of await readdir(join(records, shard)))
      if (/^(?:gone|here)/.test(name)) await rm(join(records, shard, name));
});

type Send = (client: TestClient, n: number) => Promise<{ readonly code: string }>;

/** In the soak, as many as once ended the driver. */
const inSoak = process.env['RUNS'] !== undefined;
const lists = inSoak ? 3000 : 600;

/** Sends so many requests at once over some connections; resolves to the codes that came, each once. */
async function crowd(connections: number, count: number, send: Send): Promise<readonly string[]> {
  const clients = Array.from({ length: connections }, () => connectTo(server.socket));
  const answers = clients.flatMap((client) =>
    Array.from({ length: count / connections }, (_, n) => send(client, n)),
  );
  const codes = new Set((await Promise.all(answers)).map(({ code }) => code));
  for (const client of clients) client.close();
  return [...codes].sort();
}

const deadlineMs = 120_000;

/** A map under a field, with `count` entries of six bytes each. */
const map = (field: number, count: number): Buffer =>
  Buffer.concat(
    Array.from({ length: count }, (_, n) => {
      const key = n.toString(36).padStart(4, '0');
      return Buffer.concat([
        Buffer.from([(field << 3) | 2, 8, 0x0a, 4]),
        Buffer.from(key),
        Buffer.from([0x12, 0]),
      ]);
    }),
  );

const crowds: readonly (readonly [what: string, connections: number, count: number, send: Send])[] =
  [
    [
      'of lists over one connection',
      1,
      lists,
      (client) => client.raw('ListVolumes', Buffer.alloc(0)),
    ],
    [
      'of different lists over ten connections',
      10,
      lists,
      (client, n) => client.call('ListVolumes', { max_entries: 1 + (n % 3) }, { deadlineMs }),
    ],
    [
      'of questions for capacity',
      10,
      inSoak ? 10_000 : 1500,
      (client) => client.call('GetCapacity', {}, { deadlineMs }),
    ],
    [
      'of empty capabilities',
      1,
      4,
      (client) => client.raw('CreateVolume', Buffer.alloc(3_900_000, Buffer.from([0x1a, 0]))),
    ],
    [
      'of huge maps',
      1,
      20,
      (client) => client.raw('CreateVolume', Buffer.concat([map(4, 10_000), map(5, 10_000)])),
    ],
  ];

test.each(crowds)('a crowd %s is answered within the memory of the pod', async (...what) => {
  const [, connections, count, send] = what;
  const codes = await crowd(connections, count, send);
  expect(['OK', 'INVALID_ARGUMENT', 'RESOURCE_EXHAUSTED']).toEqual(
    expect.arrayContaining([...codes]),
  );
  expect(memoryOf(server, 'VmHWM')).toBeLessThan(mostResident);
  await server.ok('Probe', {});
});

test('a crowd that leaves at once leaves nothing running', async () => {
  await crowd(4, 400, (client, n) =>
    client.call('ListVolumes', { max_entries: 1 + n }, { deadlineMs: 50 }),
  );
  const start = performance.now();
  await server.ok('ListVolumes', { max_entries: 1 });
  expect(performance.now() - start).toBeLessThan(10_000);
});

test('after the crowds the memory is that of an idle server again', async () => {
  await eventually(() => {
    expect(memoryOf(server, 'VmRSS') - idle).toBeLessThan(24 * mebibyte);
  });
});
