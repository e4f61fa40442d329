import { expect, test } from 'vitest';
import { DriverError, raced } from '../../../src/model/fault.ts';
import { CommandFailed } from '../../../src/run/run.ts';
import type { Services, Volumes } from '../../../src/service/api.ts';
import { rpcs } from '../../support/server/client.ts';
import { eventually, serving } from '../../support/server/serve.ts';
import { memoryServices, volume } from '../../support/server/services.ts';
import { valid, validCapability } from '../../support/server/valid.ts';

const withVolumes = (volumes: Partial<Volumes>): Services => {
  const { services } = memoryServices();
  return { ...services, volumes: { ...services.volumes, ...volumes } };
};

test('handlers that reject, throw, or reject with nothing are answered', async () => {
  const ways: (() => Promise<never>)[] = [
    () => Promise.reject(new Error('secret inside')),
    () => {
      throw new TypeError('at once');
    },
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- what a library may do
    () => Promise.reject(undefined),
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- what a library may do
    () => Promise.reject('text'),
  ];
  for (const get of ways) {
    const { client, lines } = await serving(withVolumes({ get }));
    expect(await client.call('ControllerGetVolume', { volume_id: 'v' })).toMatchObject({
      code: 'INTERNAL',
      details: 'internal error',
    });
    expect(lines.filter(({ level }) => level === 'error')).toHaveLength(1);
  }
});

test('a fault reaches the caller as its sentence, with nothing beside it', async () => {
  const text = 'volume "ünï\ncode 🐘" cannot be deleted: it is attached; detach it first %41';
  const remove = () => Promise.reject(new DriverError('in-use', text));
  const { client, done } = await serving(withVolumes({ remove }));
  const answer = await client.call('DeleteVolume', { volume_id: 'v' });
  expect(answer).toMatchObject({ code: 'FAILED_PRECONDITION', details: text });
  expect(Object.keys(answer.metadata).filter((key) => key.startsWith('grpc-status'))).toEqual([]);
  expect(done).toEqual([
    { rpc: 'DeleteVolume', code: 'FAILED_PRECONDITION', ms: expect.any(Number) as number },
  ]);
});

test('a message is never empty, and never too much for the wire', async () => {
  for (const text of ['', '🐘'.repeat(100_000), '\uD83D']) {
    const remove = () => Promise.reject(new DriverError('busy', text));
    const { client } = await serving(withVolumes({ remove }));
    const { code, details } = await client.call('DeleteVolume', { volume_id: 'v' });
    expect({ code, said: details !== '' }).toEqual({ code: 'ABORTED', said: true });
  }
});

test('a call past the limit is asked to call again, holds its lock, and the retry finds the result', async () => {
  const goOn = Promise.withResolvers<typeof volume>();
  let created = 0;
  const create = () => {
    created += 1;
    return goOn.promise;
  };
  const { client, server, lines } = await serving(withVolumes({ create }), { limitMs: 30 });
  const first = await client.call('CreateVolume', valid.CreateVolume);
  expect(first).toMatchObject({ code: 'UNAVAILABLE' });
  expect(first.details).toMatch(/still running.*ask again/);
  expect(await client.call('CreateVolume', valid.CreateVolume)).toMatchObject({
    code: 'ABORTED',
    details: expect.stringContaining('"pvc-1"') as string,
  });
  expect(server.running()).toBe(1);
  goOn.resolve(volume);
  await eventually(() => {
    expect(server.running()).toBe(0);
  });
  expect(lines.map(({ message }) => message)).toContain(
    'request done after its caller was answered',
  );
  expect(await client.call('CreateVolume', valid.CreateVolume)).toMatchObject({ code: 'OK' });
  expect(created).toBe(2);
});

test('an operation goes on when its caller leaves', async () => {
  const goOn = Promise.withResolvers<undefined>();
  const { services } = memoryServices();
  const remove = async () => {
    await goOn.promise;
  };
  const { client, server, lines } = await serving({
    ...services,
    volumes: { ...services.volumes, remove },
  });
  const { code } = await client.call('DeleteVolume', { volume_id: 'v' }, { deadlineMs: 100 });
  expect(['UNAVAILABLE', 'DEADLINE_EXCEEDED']).toContain(code);
  expect(server.running()).toBe(1);
  goOn.resolve(undefined);
  await eventually(() => {
    expect(lines.map(({ message }) => message)).toContain(
      'request done after its caller was answered',
    );
  });
});

test('operations on different objects run side by side, and many copy from one source', async () => {
  const goOn = Promise.withResolvers<typeof volume>();
  let running = 0;
  const create = () => {
    running += 1;
    return goOn.promise;
  };
  const { client } = await serving(withVolumes({ create }));
  const source = { volume_content_source: { snapshot: { snapshot_id: 's' } } };
  const calls = Array.from({ length: 20 }, (_, n) =>
    client.call('CreateVolume', { ...valid.CreateVolume, ...source, name: `v${n}` }),
  );
  await eventually(() => {
    expect(running).toBe(20);
  });
  const short = { deadlineMs: 5000 };
  expect(await client.call('DeleteSnapshot', { snapshot_id: 's' }, short)).toMatchObject({
    code: 'ABORTED',
    details: 'another operation on snapshot "s" is under way; ask again when it has ended',
  });
  const removal = client.call('DeleteSnapshot', { snapshot_id: 's' });
  goOn.resolve(volume);
  for (const call of calls) expect(await call).toMatchObject({ code: 'OK' });
  expect(await removal).toMatchObject({ code: 'OK' });
});

test('requests for one volume run one after the other, and one whose caller left does not run', async () => {
  const running: PromiseWithResolvers<undefined>[] = [];
  const remove = async () => {
    const own = Promise.withResolvers<undefined>();
    running.push(own);
    await own.promise;
  };
  const { client, server } = await serving(withVolumes({ remove }));
  const ask = (options = {}) => client.call('DeleteVolume', { volume_id: 'v' }, options);
  const first = ask();
  await eventually(() => {
    expect(running).toHaveLength(1);
  });
  const left = await ask({ deadlineMs: 100 });
  expect(left.code).toMatch(/^(?:ABORTED|DEADLINE_EXCEEDED)$/);
  const third = ask();
  await eventually(() => {
    expect(server.running()).toBe(2);
  });
  running[0]?.resolve(undefined);
  expect(await first).toMatchObject({ code: 'OK' });
  await eventually(() => {
    expect(running).toHaveLength(2);
  });
  running[1]?.resolve(undefined);
  expect(await third).toMatchObject({ code: 'OK' });
  expect(server.running()).toBe(0);
});

test('a request that lost a race is sent through again, until it succeeds or its time is up', async () => {
  let tries = 0;
  const lose = () => {
    tries += 1;
    return tries < 5 ? Promise.reject(raced('v changed')) : Promise.resolve();
  };
  const losing = await serving(withVolumes({ remove: lose }));
  const request = { volume_id: 'v' };
  expect(await losing.client.call('DeleteVolume', request)).toMatchObject({ code: 'OK' });
  expect(tries).toBe(5);
  const never = await serving(withVolumes({ remove: () => Promise.reject(raced('v changed')) }));
  expect(await never.client.call('DeleteVolume', request, { deadlineMs: 5000 })).toMatchObject({
    code: 'ABORTED',
    details: 'v changed',
  });
});

const canary = 'cAnArY-8f3e';
const mount = {
  ...validCapability,
  mount: { fs_type: 'ext4', mount_flags: [`password=${canary}`, 'noatime'] },
};
const sensitive = {
  secrets: { key: canary, other: `${canary}2` },
  volume_capability: mount,
  volume_capabilities: [mount],
  volume_context: { 'csi.storage.k8s.io/serviceAccount.tokens': canary },
};

test('no secret and no mount flag is in the log, whatever fails and how', async () => {
  const leak = (): Promise<never> =>
    Promise.reject(
      new DriverError(
        'command-failed',
        `cannot log in with ${canary}`,
        new CommandFailed({
          argv: ['mount', '-o', `password=${canary}`],
          exitCode: 32,
          stdout: '',
          stderr: `mount: bad option password=${canary}`,
        }),
      ),
    );
  const defect = (): Promise<never> => Promise.reject(new Error(`saw ${canary}`));
  for (const way of [undefined, leak, defect]) {
    const { services } = memoryServices();
    const broken: Services = way
      ? {
          ...services,
          volumes: { ...services.volumes, create: way, validate: way },
          attachments: { ...services.attachments, publish: way },
          node: { ...services.node, stage: way, publish: way },
        }
      : services;
    const { client, lines } = await serving(broken);
    for (const rpc of ['CreateVolume', 'ControllerPublishVolume', 'NodeStageVolume'] as const) {
      await client.call(rpc, { ...valid[rpc], ...sensitive });
      const malformed = await client.call(rpc, { ...sensitive, volume_id: '', name: '' });
      expect(malformed.details).not.toContain(canary);
    }
    const flags = { mount: { mount_flags: [`loop=${canary}`, `${canary},x`] } };
    await client.call('NodeStageVolume', {
      ...valid.NodeStageVolume,
      volume_capability: { ...mount, ...flags },
    });
    expect(lines.length).toBeGreaterThan(6);
    expect(JSON.stringify(lines)).not.toContain(canary);
  }
});

test('the caller does not read a secret either', async () => {
  const remove = () => Promise.reject(new DriverError('command-failed', `no login with ${canary}`));
  const { client } = await serving(withVolumes({ remove }));
  const request = { volume_id: 'v', secrets: { key: canary } };
  expect(await client.call('DeleteVolume', request)).toMatchObject({
    details: 'no login with ***',
  });
});

test('what is not offered answers UNIMPLEMENTED', async () => {
  const { client } = await serving();
  const missing = rpcs.filter((rpc) => !(rpc in valid));
  expect(missing).toContain('ControllerListVolumeHealth');
  for (const rpc of missing)
    expect(await client.call(rpc, {})).toMatchObject({ code: 'UNIMPLEMENTED' });
});

test('a request over 4 MiB is refused, and the next one served', async () => {
  const { client } = await serving();
  const huge = { ...valid.CreateVolume, parameters: { a: 'x'.repeat(5 * 1024 * 1024) } };
  expect(await client.call('CreateVolume', huge)).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  expect(await client.call('Probe', {})).toMatchObject({ code: 'OK' });
});
