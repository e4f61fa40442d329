import { connect } from 'node:net';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { DriverError } from '../../../src/model/fault.ts';
import { serveHttp } from '../../../src/server/http.ts';
import type { Readiness } from '../../../src/service/api.ts';

async function http(readiness: Readiness, metrics = () => 'up 1\n') {
  const server = await serveHttp({
    host: '127.0.0.1',
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
