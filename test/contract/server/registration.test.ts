import { lstat, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { credentials, type ServiceError } from '@grpc/grpc-js';
import { expect, onTestFinished, test } from 'vitest';
import { loadRegistration } from '../../../src/server/proto.ts';
import { keepRegistered, type RegistrationOptions } from '../../../src/server/registration.ts';
import type { PluginInfo__Output } from '../../../src/wire/registration.ts';
import { eventually, memoryLog, scratch } from '../../support/server/serve.ts';

const Service = loadRegistration();

/** Calls as the kubelet does: a connection for each attempt, and a second for the answer. */
async function ask(
  socket: string,
  status?: { readonly plugin_registered: boolean; readonly error: string },
): Promise<PluginInfo__Output | undefined> {
  const client = new Service(`unix:${socket}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  const deadline = { deadline: Date.now() + 20_000 };
  try {
    return await new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, reply?: PluginInfo__Output): void => {
        if (error) reject(error);
        else resolve(reply);
      };
      if (!status) client.GetInfo({}, deadline, done);
      else
        client.NotifyRegistrationStatus(status, deadline, (error) => {
          done(error);
        });
    });
  } finally {
    client.close();
  }
}

async function registering(options: Partial<RegistrationOptions> = {}) {
  const directory = await scratch();
  const { log, lines } = memoryLog();
  const registration = keepRegistered({
    directory,
    endpoint: '/var/lib/kubelet/plugins/gpfs-clone.csi/csi.sock',
    log,
    driverName: 'gpfs-clone.csi',
    whyNot: () => Promise.resolve(undefined),
    everyMs: 20,
    ...options,
  });
  onTestFinished(() => registration.close());
  const socket = join(directory, 'gpfs-clone.csi-reg.sock');
  const said = (words: RegExp) => lines.filter(({ message }) => words.test(message));
  return { directory, socket, registration, said };
}

const offered = /offered to the kubelet/;

test('the kubelet learns name, socket and version, and what becomes of it is in the log', async () => {
  const { socket, said, registration, directory } = await registering();
  await eventually(() => {
    expect(said(offered)).toHaveLength(1);
  });
  expect((await lstat(socket)).mode).toBe(0o140600);
  expect(await ask(socket)).toEqual({
    type: 'CSIPlugin',
    name: 'gpfs-clone.csi',
    endpoint: '/var/lib/kubelet/plugins/gpfs-clone.csi/csi.sock',
    supported_versions: ['1.0.0'],
  });

  await ask(socket, { plugin_registered: true, error: '' });
  expect(said(/^registered with the kubelet/)).toMatchObject([{ level: 'info' }]);
  await ask(socket, { plugin_registered: false, error: 'no such node' });
  expect(said(/refused to register/)).toMatchObject([
    { level: 'error', fields: { reason: 'no such node' } },
  ]);

  await registration.close();
  expect(await readdir(directory)).toEqual([]);
});

test('a node that cannot serve is not offered, says why once, and is offered when it can', async () => {
  let why: string | undefined = 'GPFS is not installed on this node';
  let asked = 0;
  const { directory, said } = await registering({
    whyNot: () => {
      asked += 1;
      return Promise.resolve(why);
    },
  });
  await eventually(() => {
    expect(asked).toBeGreaterThan(3);
  });
  expect(await readdir(directory)).toEqual([]);
  expect(said(/not registered/)).toMatchObject([{ level: 'warn', fields: { why } }]);

  why = undefined;
  await eventually(() => {
    expect(said(offered)).toHaveLength(1);
  });
  // Offered once, it is not asked again: a GPFS that goes away must not take away who unmounts.
  const before = asked;
  why = 'GPFS is gone';
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect([asked, await readdir(directory)]).toEqual([before, ['gpfs-clone.csi-reg.sock']]);
});

test('the kubelet is offered the driver again when it has to ask again', async () => {
  const { socket, directory, registration, said } = await registering();
  // While the first offer may still be under way.
  registration.again();
  await eventually(() => {
    expect(said(offered)).toHaveLength(2);
  });
  const before = await lstat(socket, { bigint: true });
  registration.again();
  await eventually(() => {
    expect(said(offered)).toHaveLength(3);
  });
  expect((await lstat(socket, { bigint: true })).ctimeNs).toBeGreaterThan(before.ctimeNs);
  expect(await readdir(directory)).toEqual(['gpfs-clone.csi-reg.sock']);
  expect(await ask(socket)).toMatchObject({ name: 'gpfs-clone.csi' });
  expect(said(/was taken away/)).toEqual([]);
  await registration.close();
  registration.again();
  expect(await readdir(directory)).toEqual([]);
});

test('a socket that was removed, with its folder too, is made again', async () => {
  const { directory, socket, said } = await registering({ watchMs: 20 });
  await eventually(() => {
    expect(said(offered)).toHaveLength(1);
  });
  await rm(socket);
  await eventually(() => {
    expect(said(offered)).toHaveLength(2);
  });
  expect(await ask(socket)).toMatchObject({ name: 'gpfs-clone.csi' });

  await rename(directory, `${directory}-away`);
  await eventually(() => {
    expect(said(/not registered/)).toHaveLength(1);
  });
  await mkdir(directory);
  await eventually(() => {
    expect(said(offered)).toHaveLength(3);
  });
  await rm(`${directory}-away`, { recursive: true });
  expect(await ask(socket)).toMatchObject({ name: 'gpfs-clone.csi' });
});

test('what a dead process left is replaced, and what is no socket is left alone', async () => {
  const directory = await scratch();
  const socket = join(directory, 'gpfs-clone.csi-reg.sock');
  await writeFile(socket, 'precious');
  const { said, registration } = await registering({ directory });
  await eventually(() => {
    expect(said(/not registered/)).toMatchObject([
      { fields: { why: expect.stringContaining('is not a socket') as string } },
    ]);
  });
  await rm(socket);
  await eventually(() => {
    expect(said(offered)).toHaveLength(1);
  });
  const second = await registering({ directory });
  await eventually(() => {
    expect(second.said(/not registered/)).toMatchObject([
      { fields: { why: expect.stringContaining('another instance is live') as string } },
    ]);
  });
  // The first goes, as in an upgrade; the second takes its place.
  await registration.close();
  await eventually(() => {
    expect(second.said(offered)).toHaveLength(1);
  });
  expect(await ask(socket)).toMatchObject({ name: 'gpfs-clone.csi' });
});
