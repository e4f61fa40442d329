import { once } from 'node:events';
import { connect } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rpcs } from '../../support/server/client.ts';
import { serving } from '../../support/server/serve.ts';

test('no bytes at all stop the server, and it never lacks an answer', async () => {
  const { client, lines } = await serving();
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...rpcs),
      fc.uint8Array({ maxLength: 200 }),
      async (rpc, bytes) => {
        const { code, details } = await client.raw(rpc, bytes);
        // Anything but a timeout, which is what a call without an answer comes to.
        expect(code).not.toBe('DEADLINE_EXCEEDED');
        expect(code === 'OK' || details !== '').toBe(true);
      },
    ),
    { numRuns: 1500 },
  );
  expect(lines.filter(({ level }) => level === 'error')).toEqual([]);
  expect(await client.call('Probe', {})).toMatchObject({ code: 'OK' });
});

test('what does not speak gRPC is shown out', async () => {
  const { path, client } = await serving();
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
  const noise = [
    'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    '\0'.repeat(100),
    `${preface}${'\u00ff'.repeat(100)}`,
    preface,
  ];
  for (const text of noise) {
    const socket = connect({ path });
    socket.on('error', () => undefined).resume();
    socket.end(text, 'latin1');
    await once(socket, 'close');
    expect(await client.call('Probe', {})).toMatchObject({ code: 'OK' });
  }
});

const anyText = fc.string({ unit: 'binary', maxLength: 150 });
const anyCapability = fc.record(
  {
    block: fc.constant({}),
    mount: fc.record({ fs_type: anyText, mount_flags: fc.array(anyText) }),
    access_mode: fc.record({ mode: fc.integer({ min: -1, max: 99 }) }),
  },
  { requiredKeys: [] },
);
const anyRequest = fc.record(
  {
    name: anyText,
    volume_id: anyText,
    snapshot_id: anyText,
    node_id: anyText,
    target_path: anyText,
    staging_target_path: anyText,
    volume_path: anyText,
    parameters: fc.dictionary(anyText, anyText),
    secrets: fc.dictionary(anyText, anyText),
    volume_context: fc.dictionary(anyText, anyText),
    volume_capability: anyCapability,
    volume_capabilities: fc.array(anyCapability, { maxLength: 3 }),
    capacity_range: fc.record({
      required_bytes: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map(String),
      limit_bytes: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map(String),
    }),
    max_entries: fc.integer(),
    starting_token: anyText,
  },
  { requiredKeys: [] },
);

test('no field of any request makes a defect', async () => {
  const { client, lines } = await serving();
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...rpcs), anyRequest, async (rpc, request) => {
      const { code } = await client.call(rpc, request);
      expect([
        'OK',
        'INVALID_ARGUMENT',
        'NOT_FOUND',
        'FAILED_PRECONDITION',
        'UNIMPLEMENTED',
      ]).toContain(code);
    }),
    { numRuns: 700 },
  );
  expect(lines.filter(({ level }) => level === 'error')).toEqual([]);
});
