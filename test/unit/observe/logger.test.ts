import { describe, expect, test } from 'vitest';
import { currentContext, inContext } from '../../../src/observe/context.ts';
import { jsonLog, logIn, type LogLevel } from '../../../src/observe/logger.ts';
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

describe('a log as text', () => {
  const written = (fields: object, message = 'request done') => {
    const lines: string[] = [];
    const log = logIn('text', 'info', { write: (line) => lines.push(line) });
    log.info({ ...fields }, message);
    return lines.map((line) => line.replace(/^\S+/, 'TIME'));
  };
  const request = { rpc: 'CreateVolume', code: 'OK', ms: 14.2, requestId: '0a1b2c3d-e4f5' };

  test('says when, on what, what was done, how long and how it ended, with the id of its request', () => {
    const name = { kubernetes: 'data/db', volumeId: 'root.pvc-1' };
    expect(written({ ...request, ...name, request: { name: 'x' } })).toEqual([
      'TIME INFO  data/db CreateVolume done 14.2 ms OK [0a1b2c3d]\n',
    ]);
  });

  test('names a failure, and the request of a line that is not its own', () => {
    const failed = { ...request, code: 'ABORTED', error: 'volume v is busy' };
    expect(written(failed, 'request failed')).toEqual([
      'TIME INFO  - CreateVolume failed 14.2 ms ABORTED: volume v is busy [0a1b2c3d]\n',
    ]);
    const { rpc, requestId } = request;
    expect(written({ rpc, requestId, volume: 'v', bytes: 5n }, 'filling a volume')).toEqual([
      'TIME INFO  v filling a volume (CreateVolume) bytes=5 [0a1b2c3d]\n',
    ]);
  });

  test('is one line whatever is in it, and hides what the JSON hides', () => {
    const [line = ''] = written({ error: new Error('two\nlines\u001b[2J'), secrets: 'canary' });
    expect(line).toMatch(/^[^\n]*two\\u\{a\}lines\\u\{1b\}\[2J[^\n]*\n$/);
    expect(line).not.toContain('canary');
  });
});
