import { expect, test } from 'vitest';
import { currentContext, inContext } from '../../../src/observe/context.ts';
import { jsonLog, type LogLevel } from '../../../src/observe/logger.ts';
import { CommandFailed } from '../../../src/run/run.ts';

const logInto = (level: LogLevel) => {
  const lines: string[] = [];
  const log = jsonLog(level, { write: (line) => lines.push(line) });
  return { log, lines, parsed: () => lines.map((line): unknown => JSON.parse(line)) };
};

test('a line is one JSON object with its time, level and fields', () => {
  const { log, parsed } = logInto('debug');
  log.info({ bytes: 1n << 60n, at: '/a' }, 'made');
  expect(parsed()).toEqual([
    {
      level: 'info',
      message: 'made',
      bytes: '1152921504606846976',
      at: '/a',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as unknown,
    },
  ]);
});

test('lines below the level are not written', () => {
  const { log, lines } = logInto('warn');
  log.debug({}, 'a');
  log.info({}, 'b');
  log.warn({}, 'c');
  log.error({}, 'd');
  expect(lines).toHaveLength(2);
});

test('a line carries the request it belongs to, across awaits, and no other', async () => {
  const { log, parsed } = logInto('info');
  const serve = (requestId: string) =>
    inContext({ requestId, rpc: 'CreateVolume' }, async () => {
      await Promise.resolve();
      await inContext({ volumeId: `v-${requestId}` }, async () => {
        await Promise.resolve();
        log.info({}, requestId);
      });
      expect(currentContext()).toEqual({ requestId, rpc: 'CreateVolume' });
    });
  await Promise.all([serve('r1'), serve('r2')]);
  log.info({}, 'outside');
  expect(parsed()).toMatchObject([
    { requestId: 'r1', volumeId: 'v-r1', message: 'r1' },
    { requestId: 'r2', volumeId: 'v-r2', message: 'r2' },
    { message: 'outside' },
  ]);
  expect(parsed()[2]).not.toHaveProperty('requestId');
  expect(currentContext()).toEqual({});
});

test('secrets and mount flags are in no line, at any depth, in maps and in causes of errors', () => {
  const { log, lines } = logInto('debug');
  const secrets = { password: 'canary' };
  const argv = ['mount', '-o', 'canary'];
  const cause = new CommandFailed({ argv, exitCode: 32, stdout: 'canary', stderr: 'no' });
  log.error(
    {
      secrets,
      deep: { list: [{ secrets, mount_flags: ['canary'], kept: 'x' }] },
      map: new Map([['secrets', secrets]]),
      data: Buffer.from('canary'),
      mountFlags: ['canary'],
      error: new Error('failed', { cause }),
    },
    'all of it',
  );
  const text = lines.join('');
  expect(text).not.toContain('canary');
  expect(text).toContain('"kept":"x"');
  expect(text).toContain('mount ended with status 32: no');
});

test('what refers to itself ends', () => {
  const { log, lines } = logInto('debug');
  const loop: Record<string, unknown> = {};
  loop['loop'] = loop;
  log.info({ loop }, 'round');
  expect(lines.join('')).toContain('[deep]');
});
