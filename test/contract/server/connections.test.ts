import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { wireLimits } from '../../../src/server/transport/reading.ts';
import { connectTo } from '../../support/server/client.ts';
import { heldLists, withList } from '../../support/server/held-lists.ts';
import { eventually, serving } from '../../support/server/serve.ts';

test('of many connections the idle ones give way, and one with a request stays', async () => {
  const { goOn, made, list } = heldLists();
  const { path, client } = await serving(withList(list), {
    wire: { ...wireLimits, connections: 4 },
  });
  const working = client.call('ListVolumes', {});
  await eventually(() => {
    expect(made).toHaveLength(1);
  });
  const idle: Socket[] = [];
  for (let n = 0; n < 10; n += 1) {
    const socket = connect({ path })
      .on('error', () => undefined)
      .resume();
    idle.push(socket);
    await once(socket, 'connect');
    await sleep(10);
  }
  await eventually(() => {
    expect(idle.filter(({ closed }) => !closed)).toHaveLength(3);
  });
  const late = connectTo(path);
  expect(await late.call('Probe', {})).toMatchObject({ code: 'OK' });
  late.close();
  goOn.resolve(undefined);
  expect(await working).toMatchObject({ code: 'OK' });
  for (const each of idle) each.destroy();
});

test('a new connection is taken where each of the others has a request', async () => {
  const { goOn, made, list } = heldLists();
  const { path } = await serving(withList(list), { wire: { ...wireLimits, connections: 3 } });
  const others = [1, 2, 3].map(() => connectTo(path));
  const held = others.map((each, n) => each.call('ListVolumes', { max_entries: n }));
  await eventually(() => {
    expect(made).toHaveLength(3);
  });
  const late = connectTo(path);
  expect(await late.call('Probe', {})).toMatchObject({ code: 'OK' });
  goOn.resolve(undefined);
  const codes = (await Promise.all(held)).map(({ code }) => code);
  expect(codes.sort()).toEqual(['OK', 'OK', 'UNAVAILABLE']);
  for (const each of [late, ...others]) each.close();
});
