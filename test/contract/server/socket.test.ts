import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { lstat, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { silentLog } from '../../../src/observe/log.ts';
import { serveGrpc } from '../../../src/server/transport/listen.ts';
import { connectTo } from '../../support/server/client.ts';
import { memoryServices } from '../../support/server/services.ts';
import { eventually, scratch, serving } from '../../support/server/serve.ts';

const child = fileURLToPath(new URL('../../support/server/child.ts', import.meta.url));

async function processOn(path: string): Promise<ChildProcess> {
  const server = spawn(process.execPath, [child, `unix://${path}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => {
    server.kill('SIGKILL');
  });
  await once(server.stdout, 'data');
  return server;
}

/** The status with which it ended; null where a signal ended it, also before this is asked. */
const ended = async (server: ChildProcess): Promise<number | null> => {
  if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
  return server.exitCode;
};

const tryToServe = (endpoint: string) =>
  serveGrpc({
    services: memoryServices().services,
    log: silentLog,
    endpoint,
    limitMs: 1000,
    onVanished: () => undefined,
  });

test('a socket that a killed process left behind is replaced', async () => {
  const path = join(await scratch(), 'csi.sock');
  const first = await processOn(path);
  first.kill('SIGKILL');
  await ended(first);
  expect((await lstat(path)).isSocket()).toBe(true);

  const second = await tryToServe(`unix://${path}`);
  const client = connectTo(path);
  expect(await client.call('Probe', {})).toMatchObject({ code: 'OK' });
  client.close();
  await second.close(0);
  await expect(lstat(path)).rejects.toThrow('ENOENT');
});

test('a second instance is refused while the first lives, and does not disturb it', async () => {
  const { path, client } = await serving();
  await expect(tryToServe(`unix://${path}`)).rejects.toThrow(/another instance is live/);
  expect(await client.call('Probe', {})).toMatchObject({ code: 'OK' });
});

test('what is not a socket is left alone', async () => {
  const folder = await scratch();
  const path = join(folder, 'csi.sock');
  await writeFile(path, 'precious');
  await expect(tryToServe(`unix://${path}`)).rejects.toThrow(/is not a socket/);
  await mkdir(join(folder, 'd.sock'));
  await expect(tryToServe(`unix://${folder}/d.sock`)).rejects.toThrow(/is not a socket/);
  await expect(tryToServe(`unix://${folder}/none/csi.sock`)).rejects.toThrow(/does not exist/);
  expect((await lstat(path)).size).toBe(8);
});

test('a path of 107 bytes serves, one of 108 is refused', async () => {
  const folder = await scratch();
  const fits = `${folder}/${'x'.repeat(107 - folder.length - 6)}.sock`;
  const server = await tryToServe(`unix:${fits}`);
  expect((await lstat(fits)).isSocket()).toBe(true);
  await server.close(0);
  await expect(tryToServe(`unix:${fits.replace('.sock', 'x.sock')}`)).rejects.toThrow(/107 bytes/);
});

test('only the owner may connect, and the group of the sidecars on their socket', async () => {
  const folder = await scratch();
  const sidecars = join(folder, 'controller.sock');
  const { path, server } = await serving(undefined, { controller: { path: sidecars, gid: 1234 } });
  expect((await lstat(path)).mode & 0o777).toBe(0o600);
  await expect(lstat(sidecars)).rejects.toThrow('ENOENT');

  await server.controller?.open();
  await server.controller?.open();
  expect(await lstat(sidecars)).toMatchObject({ gid: 1234, mode: 0o140660 });
  const client = connectTo(sidecars);
  expect(await client.call('Probe', {})).toMatchObject({ code: 'OK' });
  expect(await client.call('ControllerGetCapabilities', {})).toMatchObject({ code: 'OK' });
  expect(await client.call('NodeGetInfo', {})).toMatchObject({ code: 'UNIMPLEMENTED' });

  await server.controller?.close(1000);
  await expect(lstat(sidecars)).rejects.toThrow('ENOENT');
  expect(await client.call('Probe', {})).toMatchObject({ code: 'UNAVAILABLE' });
  await server.controller?.open();
  const again = connectTo(sidecars);
  expect(await again.call('Probe', {})).toMatchObject({ code: 'OK' });

  await server.close(1000);
  await server.controller?.open();
  await expect(lstat(sidecars)).rejects.toThrow('ENOENT');
  client.close();
  again.close();
});

test('a call that runs at shutdown is answered, although a raw connection stays open', async () => {
  const { services } = memoryServices();
  const begun = Promise.withResolvers<undefined>();
  const goOn = Promise.withResolvers<undefined>();
  const remove = async () => {
    begun.resolve(undefined);
    await goOn.promise;
  };
  const { path, server, client } = await serving({
    ...services,
    volumes: { ...services.volumes, remove },
  });
  const raw = connect({ path });
  raw.on('error', () => undefined).resume();
  const rawEnded = once(raw, 'close');
  await once(raw, 'connect');
  const call = client.call('DeleteVolume', { volume_id: 'v' });
  await begun.promise;

  const closed = server.close(60_000);
  await expect(lstat(path)).rejects.toThrow('ENOENT');
  expect(server.running()).toBe(1);
  goOn.resolve(undefined);
  expect(await call).toMatchObject({ code: 'OK' });
  await closed;
  await rawEnded;
  expect(server.running()).toBe(0);
});

test('a shutdown waits for nobody longer than its grace', async () => {
  const { services } = memoryServices();
  const begun = Promise.withResolvers<undefined>();
  const remove = (): Promise<void> => {
    begun.resolve(undefined);
    return new Promise(() => undefined);
  };
  const { server, client } = await serving({
    ...services,
    volumes: { ...services.volumes, remove },
  });
  const call = client.call('DeleteVolume', { volume_id: 'v' });
  await begun.promise;
  await server.close(50);
  expect((await call).code).not.toBe('OK');
});

test('a socket that is taken away is noticed, and the one in its place is left alone', async () => {
  const { path, server, vanished } = await serving(undefined, { watchMs: 20 });
  await rm(path);
  await eventually(() => {
    expect(vanished).toEqual([path]);
  });
  const thief = createServer().listen({ path });
  onTestFinished(() => {
    thief.close();
  });
  await once(thief, 'listening');
  await server.close(0);
  expect((await lstat(path)).isSocket()).toBe(true);
});

test('a folder that is moved away is noticed', async () => {
  const folder = await scratch();
  await mkdir(join(folder, 'a'));
  const { vanished } = await serving(undefined, {
    endpoint: `unix://${folder}/a/csi.sock`,
    watchMs: 20,
  });
  await rename(join(folder, 'a'), join(folder, 'b'));
  await eventually(() => {
    expect(vanished).toEqual([`${folder}/a/csi.sock`]);
  });
});

test('a process whose socket is taken over ends, and does not take the new socket with it', async () => {
  const path = join(await scratch(), 'csi.sock');
  const robbed = await processOn(path);
  await rm(path);
  const heir = await tryToServe(`unix://${path}`);
  expect(await ended(robbed)).toBe(1);
  const client = connectTo(path);
  expect(await client.call('Probe', {})).toMatchObject({ code: 'OK' });
  client.close();
  await heir.close(0);
});
