import { connect as connectSession, type ClientHttp2Session } from 'node:http2';
import { connect } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { roomLimits } from '../../../src/server/call/room.ts';
import { wireLimits } from '../../../src/server/transport/reading.ts';
import { heldLists, withList } from '../../support/server/held-lists.ts';
import { eventually, serving } from '../../support/server/serve.ts';
import { memoryServices, volume } from '../../support/server/services.ts';

const ofTwo = { requests: 2, bytes: roomLimits.bytes };

test('requests beyond those at work are refused with a sentence, and served when these have ended', async () => {
  const { goOn, made, list } = heldLists();
  let crowds = 0;
  const { client, lines } = await serving(withList(list), {
    room: ofTwo,
    onQuiet: () => (crowds += 1),
  });
  const held = [1, 2].map((max_entries) => client.call('ListVolumes', { max_entries }));
  await eventually(() => {
    expect(made).toHaveLength(2);
  });
  for (let n = 0; n < 50; n += 1)
    expect(await client.call('Probe', {})).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      details: '2 requests of this socket are at work already; ask again later',
    });
  goOn.resolve(undefined);
  for (const each of held) expect(await each).toMatchObject({ code: 'OK' });
  expect(await client.call('Probe', {})).toMatchObject({ code: 'OK' });
  expect(lines.filter(({ message }) => message === 'requests refused').length).toBeLessThan(10);
  expect(crowds).toBeGreaterThan(0);
});

test('messages beyond the memory for them are refused', async () => {
  const { client } = await serving(undefined, { room: { requests: 9, bytes: 1000 } });
  expect(await client.call('DeleteVolume', { volume_id: 'v'.repeat(2000) })).toMatchObject({
    code: 'RESOURCE_EXHAUSTED',
    details: expect.stringContaining('take all the memory for them') as string,
  });
  expect(await client.call('Probe', {})).toMatchObject({ code: 'OK' });
});

test('a request whose caller has left counts until its work has ended', async () => {
  const goOn = Promise.withResolvers<undefined>();
  const { services } = memoryServices();
  const remove = async () => {
    await goOn.promise;
  };
  const { client, server } = await serving(
    { ...services, volumes: { ...services.volumes, remove } },
    { room: ofTwo },
  );
  for (const volume_id of ['v', 'w'])
    await client.call('DeleteVolume', { volume_id }, { deadlineMs: 200 });
  await eventually(() => {
    expect(server.running()).toBe(2);
  });
  expect(await client.call('Probe', {})).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  goOn.resolve(undefined);
  await eventually(() => {
    expect(server.running()).toBe(0);
  });
  expect(await client.call('Probe', {})).toMatchObject({ code: 'OK' });
});

test('requests that ask the same share an answer that was made after they came', async () => {
  const { goOn, made, list } = heldLists();
  const { client } = await serving(withList(list));
  const ask = () => client.call('ListVolumes', {});
  const first = ask();
  await eventually(() => {
    expect(made).toHaveLength(1);
  });
  const crowd = Array.from({ length: 50 }, ask);
  const other = client.call('ListVolumes', { max_entries: 7 });
  await eventually(() => {
    expect(made).toHaveLength(2);
  });
  goOn.resolve(undefined);
  for (const each of [first, ...crowd, other]) expect(await each).toMatchObject({ code: 'OK' });
  expect(made).toHaveLength(3);
});

test('a list that nobody waits for is not made, and ends where it was begun', async () => {
  const { goOn, made, list } = heldLists();
  const { client, server } = await serving(withList(list));
  const ask = () => client.call('ListVolumes', {}, { deadlineMs: 500 });
  const both = [ask(), ask()];
  for (const each of both) expect((await each).code).toMatch(/^(?:UNAVAILABLE|DEADLINE_EXCEEDED)$/);
  await eventually(() => {
    expect(server.running()).toBe(0);
  });
  goOn.resolve(undefined);
  expect(await client.call('ListVolumes', {})).toMatchObject({ code: 'OK' });
  expect(made).toHaveLength(2);
});

test('entries are counted before they are built, and a large message is not read', async () => {
  const { client } = await serving();
  // Field 3, of no bytes: an empty capability.
  const capabilities = (count: number) => Buffer.alloc(2 * count, Buffer.from([0x1a, 0]));
  const before = process.cpuUsage();
  for (let n = 0; n < 20; n += 1) {
    expect(await client.raw('CreateVolume', capabilities(120_000))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: expect.stringContaining('more than 8192 fields') as string,
    });
  }
  expect(await client.raw('CreateVolume', capabilities(1_950_000))).toMatchObject({
    code: 'RESOURCE_EXHAUSTED',
  });
  expect(process.cpuUsage(before).user / 1000).toBeLessThan(5000);
});

test('fields hidden from the count by another type on the wire are malformed', async () => {
  const { client } = await serving();
  // As a number, the length of this message would be followed by fields that nobody counted.
  for (const bytes of [[0x18, 0x02, 0x0a, 0x00], [0x1b], [0x1a, 0xff, 0xff, 0xff, 0xff, 0x7f]])
    expect(await client.raw('CreateVolume', Buffer.from(bytes))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: 'the request is malformed',
    });
});

/** A connection that speaks HTTP/2, gone after the test. */
function session(path: string): ClientHttp2Session {
  const opened = connectSession('http://localhost', { createConnection: () => connect({ path }) });
  opened.on('error', () => undefined);
  onTestFinished(() => {
    opened.destroy();
  });
  return opened;
}

/** A request whose message is still to come. */
function request(opened: ClientHttp2Session, rpc: string) {
  const stream = opened.request({
    ':method': 'POST',
    ':path': `/csi.v1.${rpc}`,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.on('error', () => undefined);
  return stream;
}

const noFields = Buffer.alloc(5);

test('a request that does not come is answered, and its place is free for others', async () => {
  const { path, client } = await serving(undefined, {
    wire: { ...wireLimits, reading: 1, patienceMs: 300 },
  });
  const opened = session(path);
  const slow = request(opened, 'Identity/Probe');
  slow.write(noFields.subarray(0, 3));
  const [headers] = (await once(slow, 'response')) as [Record<string, string>];
  expect(decodeURI(headers['grpc-message'] ?? '')).toBe(
    'the request did not come within 0.3 seconds; send it again',
  );
  expect(await client.call('Probe', {})).toMatchObject({ code: 'OK' });
});

test('answers that are not taken are few, and end their connection', async () => {
  const items = Array.from({ length: 1000 }, () => ({
    ...volume,
    context: { text: 'x'.repeat(1000) },
  }));
  const { path, client } = await serving(
    withList(() => Promise.resolve({ items, next: '' })),
    { wire: { ...wireLimits, answers: 2, patienceMs: 1000 } },
  );
  const opened = session(path);
  const ended = once(opened, 'close');
  let begun = 0;
  for (let n = 0; n < 200; n += 1) {
    const stream = request(opened, 'Controller/ListVolumes');
    stream.once('readable', () => {
      if (stream.readableLength > 0) begun += 1;
    });
    stream.end(noFields);
  }
  await ended;
  expect([1, 2]).toContain(begun);
  expect(await client.call('ListVolumes', {})).toMatchObject({ code: 'OK' });
});

test('requests that are open and say nothing keep within their number', async () => {
  const { path, client } = await serving(undefined, {
    wire: { ...wireLimits, open: 4, patienceMs: 1000 },
  });
  const opened = session(path);
  const answers = Array.from({ length: 8 }, () =>
    once(request(opened, 'Identity/Probe'), 'response'),
  );
  await Promise.all(answers.slice(4));
  expect(await client.call('Probe', {})).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  await Promise.all(answers);
  expect(await client.call('Probe', {})).toMatchObject({ code: 'OK' });
});

test('a request of single bytes ends its connection, and one without an end is answered', async () => {
  const opened = session((await serving()).path);
  const ended = once(opened, 'close');
  const bytes = request(opened, 'Identity/Probe');
  bytes.write(Buffer.from([0, 0, 0, 0xff, 0xff]));
  for (let n = 0; n < 1000 && !opened.destroyed; n += 1) {
    bytes.write(Buffer.alloc(1));
    // Else Node joins them.
    await sleep(1);
  }
  await ended;
  const { path, client } = await serving(undefined, { wire: { ...wireLimits, patienceMs: 500 } });
  const unended = request(session(path), 'Identity/Probe');
  unended.write(noFields);
  const closed = once(unended, 'close');
  const [headers] = (await once(unended, 'response')) as [Record<string, string>];
  expect(headers['grpc-status']).toBe('14');
  unended.resume();
  await closed;
  expect(await client.call('Probe', {})).toMatchObject({ code: 'OK' });
});

test('a header without end is refused', async () => {
  const { path } = await serving();
  const stream = session(path).request({
    ':method': 'POST',
    ':path': '/csi.v1.Identity/Probe',
    'content-type': 'application/grpc',
    te: 'trailers',
    'x-long': 'x'.repeat(10_000),
  });
  const [headers] = (await once(stream, 'response')) as [Record<string, string>];
  expect(headers['grpc-status']).toBe('3');
});
