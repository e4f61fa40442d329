import { connect } from 'node:net';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { DriverError } from '../../../src/model/fault.ts';
import type { ConnectionLimits } from '../../../src/server/connections.ts';
import { serveHttp } from '../../../src/server/http.ts';
import type { Readiness } from '../../../src/service/api.ts';

async function http(
  readiness: Readiness,
  metrics = () => 'up 1\n',
  limits?: ConnectionLimits,
  host = '127.0.0.1',
) {
  const server = await serveHttp({
    host,
    limits,
    port: 0,
    readiness,
    readyLimitMs: 20,
    metrics,
  });
  onTestFinished(() => server.close());
  const get = async (path: string, method = 'GET') => {
    const answer = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
    return { status: answer.status, text: await answer.text() };
  };
  return { server, get };
}

test('health is the process, readiness is the driver', async () => {
  const states: readonly (readonly [Readiness, number, string])[] = [
    [() => Promise.resolve('ready'), 200, 'ok\n'],
    [() => Promise.resolve('starting'), 503, 'still starting\n'],
    [() => Promise.reject(new DriverError('misconfigured', 'no root')), 503, 'no root\n'],
    [() => Promise.reject(new Error('bug')), 503, 'internal error\n'],
    [() => new Promise(() => undefined), 503, 'the check of GPFS has not ended yet\n'],
  ];
  for (const [readiness, status, text] of states) {
    const { get } = await http(readiness);
    expect(await get('/healthz')).toEqual({ status: 200, text: 'ok\n' });
    expect(await get('/readyz?verbose')).toEqual({ status, text });
  }
});

test('metrics are served, other paths and methods are not', async () => {
  const { get } = await http(() => Promise.resolve('ready'));
  expect(await get('/metrics')).toEqual({ status: 200, text: 'up 1\n' });
  expect(await get('/')).toMatchObject({ status: 404 });
  expect(await get('/healthz', 'POST')).toMatchObject({ status: 405 });
});

test('a metric that cannot be read does not end the process', async () => {
  const { get } = await http(
    () => Promise.resolve('ready'),
    () => {
      throw new Error('bug');
    },
  );
  expect(await get('/metrics')).toEqual({ status: 500, text: 'internal error\n' });
  expect(await get('/healthz')).toMatchObject({ status: 200 });
});

test('closing does not wait for connections, and a port in use is said', async () => {
  const { server } = await http(() => Promise.resolve('ready'));
  const socket = connect({ port: server.port, host: '127.0.0.1' });
  socket.on('error', () => undefined).resume();
  await once(socket, 'connect');
  const taken = serveHttp({
    host: '127.0.0.1',
    port: server.port,
    readiness: () => Promise.resolve('ready'),
    metrics: () => '',
  });
  await expect(taken).rejects.toThrow(/cannot listen on 127.0.0.1 port/);
  await Promise.all([server.close(), once(socket, 'close')]);
});

describe('a client that means harm', () => {
  const limits = { total: 6, perAddress: 4, answerMs: 500 };

  test('and sends many requests at once is cut off, and the text is made once a second at most', async () => {
    let made = 0;
    const { server, get } = await http(
      () => Promise.resolve('ready'),
      () => {
        made += 1;
        return 'x'.repeat(2 ** 20);
      },
      limits,
    );
    const before = process.memoryUsage().rss;
    const start = performance.now();
    const crowd = Array.from({ length: 10 }, () => client(server.port));
    const request = 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n';
    for (const { socket } of crowd) socket.write(request.repeat(1700));
    for (const { ended } of crowd) expect(await ended).toBeLessThan(2 * 2 ** 20);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 2 ** 20);
    expect(await get('/metrics')).toMatchObject({ status: 200 });
    expect(made).toBeLessThanOrEqual(1 + Math.ceil((performance.now() - start) / 1000));
  });

  test('and does not read its answer, or does not end its request, is cut off', async () => {
    const { server } = await http(
      () => Promise.resolve('ready'),
      () => 'x'.repeat(2 ** 25),
      limits,
    );
    for (const words of [
      'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n',
      'GET /metrics HTTP/1.1\r\nHo',
    ]) {
      const { socket, ended } = client(server.port);
      socket.write(words);
      expect(await ended).toBeLessThan(2 ** 25);
    }
  });

  test('and holds connections keeps nobody out', async () => {
    const { server, get } = await http(() => Promise.resolve('ready'), undefined, limits);
    const crowd = Array.from({ length: 12 }, () => client(server.port));
    expect(await get('/healthz')).toMatchObject({ status: 200 });
    for (const { ended } of crowd) expect(await ended).toBeLessThan(100);
  });
});

/** A connection that reads nothing for a second; then how much came until the server had ended it. */
function client(port: number) {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', () => undefined).pause();
  const ended = sleep(1000).then(async () => {
    let bytes = 0;
    socket.on('data', ({ length }: Buffer) => (bytes += length)).resume();
    // Not once(), which rejects at a reset.
    if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
    return bytes;
  });
  return { socket, ended };
}

test('every address of IPv6 and IPv4 is served', async () => {
  const addresses = Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .filter(({ internal }) => internal)
    .map(({ address, family }) => (family === 'IPv6' ? `[${address}]` : address));
  expect(addresses).toContain('127.0.0.1');
  const { server } = await http(() => Promise.resolve('ready'), undefined, undefined, '::');
  for (const address of addresses) {
    const answer = await fetch(`http://${address}:${server.port}/healthz`);
    expect({ address, text: await answer.text() }).toEqual({ address, text: 'ok\n' });
  }
});
