import { expect, test } from 'vitest';
import type { Log } from '../../../src/observe/log.ts';
import { createMetrics } from '../../../src/observe/metrics.ts';
import { observedRun, tryingRun } from '../../../src/run/observed.ts';
import { CommandFailed, type Run } from '../../../src/run/run.ts';

const notebook = () => {
  const lines: (readonly [level: string, fields: unknown, message: string])[] = [];
  const at =
    (level: string) =>
    (fields: unknown, message: string): void => {
      lines.push([level, fields, message]);
    };
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  return { log, lines };
};

test('every command is one line and counts', async () => {
  const { log, lines } = notebook();
  const metrics = createMetrics();
  const run = observedRun(() => Promise.resolve('out'), log, metrics);
  expect(await run(['/usr/lpp/mmfs/bin/mmclone', 'show', '/a'], 'read')).toBe('out');
  expect(lines).toEqual([
    [
      'debug',
      {
        argv: ['/usr/lpp/mmfs/bin/mmclone', 'show', '/a'],
        kind: 'read',
        exitCode: 0,
        ms: expect.any(Number) as unknown,
      },
      'command ended',
    ],
  ]);
  const text = metrics.render();
  expect(text).toContain('gpfs_csi_commands_total{command="mmclone",kind="read",result="ok"} 1');
  expect(text).toContain('gpfs_csi_command_seconds_count{command="mmclone"} 1');
});

test('a failure is a warning with its words, shortened, and is passed on as it is', async () => {
  const { log, lines } = notebook();
  const metrics = createMetrics();
  const failure = new CommandFailed({
    argv: ['mmclone'],
    exitCode: 1,
    stdout: '',
    stderr: `why ${'x'.repeat(5000)}\n`,
  });
  const run = observedRun(() => Promise.reject(failure), log, metrics);
  await expect(run(['mmclone'], 'write')).rejects.toBe(failure);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject(['warn', { exitCode: 1, timedOut: false }, 'command failed']);
  expect(lines[0]?.[1]).toHaveProperty('stderr', `why ${'x'.repeat(2044)}`);
  expect(metrics.render()).toContain('{command="mmclone",kind="write",result="failed"} 1');
});

test('a failure that is an answer is no warning, and is passed on all the same', async () => {
  const { log, lines } = notebook();
  const metrics = createMetrics();
  const failure = new CommandFailed({ argv: ['blkid'], exitCode: 2, stdout: '', stderr: '' });
  const run = observedRun(() => Promise.reject(failure), log, metrics);
  const nothing = { isAnswer: ({ exitCode }: CommandFailed) => exitCode === 2 };
  await expect(run(['blkid'], 'read', nothing)).rejects.toBe(failure);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject(['debug', { exitCode: 2 }, 'command ended']);
  expect(metrics.render()).toContain('{command="blkid",kind="read",result="ok"} 1');
  const other = { isAnswer: ({ exitCode }: CommandFailed) => exitCode === 8 };
  await expect(run(['blkid'], 'read', other)).rejects.toBe(failure);
  expect(lines[1]).toMatchObject(['warn', { exitCode: 2 }, 'command failed']);
});

test('options of a mount are in no line, whatever mount says of them', async () => {
  const { log, lines } = notebook();
  const run: Run = (argv) =>
    Promise.reject(
      new CommandFailed({
        argv,
        exitCode: 32,
        stdout: '',
        stderr: 'mount: bad option password=canary; see dmesg',
      }),
    );
  const observed = observedRun(run, log, createMetrics());
  const argv = [
    '/usr/bin/mount',
    '-t',
    'ext4',
    '-o',
    'password=canary',
    '/dev/loop1',
    '/t',
  ] as const;
  await expect(observed(argv, 'write')).rejects.toThrow();
  expect(JSON.stringify(lines)).not.toContain('canary');
  expect(JSON.stringify(lines)).toContain('/dev/loop1');
});

test('of a trial every end of a command is an answer, but not that it was killed or never ran', async () => {
  const { log, lines } = notebook();
  const ends: readonly (number | undefined)[] = [1, undefined];
  for (const exitCode of ends) {
    const failure = new CommandFailed({ argv: ['mmclone'], exitCode, stdout: '', stderr: '' });
    const run = tryingRun(observedRun(() => Promise.reject(failure), log, createMetrics()));
    await expect(run(['mmclone', 'redirect', '/a'], 'interruptible')).rejects.toBe(failure);
  }
  expect(lines.map(([level]) => level)).toEqual(['debug', 'warn']);
});
