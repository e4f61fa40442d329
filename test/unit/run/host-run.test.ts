import { chmod, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hostRun } from '../../../src/run/host-run.ts';
import { CommandFailed } from '../../../src/run/run.ts';

let directory = '';

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gpfs-csi-run-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

const script = async (name: string, text: string): Promise<void> => {
  await writeFile(join(directory, name), `#!/bin/sh\n${text}\n`);
  await chmod(join(directory, name), 0o755);
};

const failureOf = async (attempt: Promise<unknown>): Promise<CommandFailed> => {
  const error = await attempt.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (error instanceof CommandFailed) return error;
  throw new Error('it did not fail as a command', { cause: error });
};

// Polls what the test waits for; a test that never sees it ends at the runner's own limit.
const until = async (seen: () => Promise<boolean>): Promise<void> => {
  while (!(await seen())) await sleep(10);
};

const alive = (pid: string): Promise<boolean> =>
  readFile(`/proc/${pid}/stat`, 'utf8').then(
    (stat) => !stat.includes(') Z '),
    () => false,
  );

const writtenPid = async (path: string): Promise<string> => {
  const read = () => readFile(path, 'utf8').catch(() => '');
  await until(async () => (await read()).endsWith('\n'));
  return (await read()).trim();
};

describe('a command', () => {
  test('gets its arguments as they are, a fixed environment, no input, and the root directory', async () => {
    await script('mmshow', 'printf "%s|" "$@"; env | sort; pwd; cat');
    const run = hostRun({ mmDirectory: directory });
    const output = await run(['mmshow', '$HOME', 'a b', '; exit 3', ''], 'read');
    expect(output.split('\n')).toEqual([
      expect.stringMatching(/^\$HOME\|a b\|; exit 3\|\|LC_ALL=C$/),
      'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
      'PWD=/',
      '/',
      '',
    ]);
  });

  test('that fails tells its status and what it wrote', async () => {
    await script('mmfail', 'echo out; echo "mmfail: no" >&2; exit 22');
    const failure = await failureOf(hostRun({ mmDirectory: directory })(['mmfail', 'x'], 'write'));
    expect(failure).toMatchObject({
      argv: ['mmfail', 'x'],
      exitCode: 22,
      stdout: 'out\n',
      stderr: 'mmfail: no\n',
      timedOut: false,
      aborted: false,
      message: 'mmfail ended with status 22: mmfail: no',
    });
  });

  test('that is not there, or not a program, fails in words', async () => {
    const run = hostRun({ mmDirectory: directory });
    const missing = await failureOf(run(['mmclone', 'show', '/a'], 'read'));
    expect(missing.message).toContain(
      `did not run to its end: there is no program at ${directory}/mmcl`,
    );
    expect(missing.exitCode).toBeUndefined();
    const tool = await failureOf(run(['no-such-tool'], 'write'));
    expect(tool.message).toContain('no-such-tool is not installed in /usr/sbin, ');
    await writeFile(join(directory, 'mmtext'), 'text');
    expect((await failureOf(run(['mmtext'], 'read'))).message).toContain('may not be executed');
  });

  test('is found in the search path only, in its order, or by full path', async () => {
    await script('tool', 'echo found');
    const run = hostRun({ mmDirectory: '/nowhere', searchPath: ['/nowhere', directory] });
    expect(await run(['tool'], 'read')).toBe('found\n');
    expect(await run(['/bin/echo', 'x'], 'read')).toBe('x\n');
    expect((await failureOf(run(['echo'], 'read'))).exitCode).toBeUndefined();
  });

  test('that something else ended says by what', async () => {
    await script('mmdie', 'kill -TERM $$');
    const failure = await failureOf(hostRun({ mmDirectory: directory })(['mmdie'], 'write'));
    expect(failure.message).toBe('mmdie did not run to its end: it was ended by SIGTERM');
  });

  test('that prints more than is accepted is an error, and never blocks', async () => {
    await script('mmlong', 'head -c 300000 /dev/zero; echo done >&2');
    const failure = await failureOf(
      hostRun({ mmDirectory: directory, maxOutput: 1000 })(['mmlong'], 'write'),
    );
    expect(failure).toMatchObject({ exitCode: 0, stderr: 'it printed more than 1000 bytes' });
  });
});

describe('a read', () => {
  test('past its limit is killed', async () => {
    await script('mmhang', 'exec sleep 600');
    const run = hostRun({ mmDirectory: directory });
    const failure = await failureOf(run(['mmhang'], 'read', { timeoutMs: 100 }));
    expect(failure).toMatchObject({ timedOut: true, aborted: false, exitCode: undefined });
  });

  test('ends with its request, and with everything it started', async () => {
    const child = join(directory, 'child');
    await script('mmhang', `sh -c 'echo $$ > ${child}; sleep 600' & sleep 600`);
    const request = new AbortController();
    const failure = failureOf(
      hostRun({ mmDirectory: directory })(['mmhang'], 'read', { signal: request.signal }),
    );
    const pid = await writtenPid(child);
    request.abort();
    expect(await failure).toMatchObject({ timedOut: false, aborted: true });
    await until(async () => !(await alive(pid)));
    expect(await alive(pid)).toBe(false);
  });

  test('whose request is over is not started', async () => {
    await script('mmtouch', `echo x > ${join(directory, 'touched')}`);
    const run = hostRun({ mmDirectory: directory });
    const over = { signal: AbortSignal.abort() };
    expect(await failureOf(run(['mmtouch'], 'read', over))).toMatchObject({ aborted: true });
    expect(await readdir(directory)).toEqual(['mmtouch']);
  });
});

describe('a write', () => {
  test('is never killed, neither at a limit nor when its request ends', async () => {
    const go = join(directory, 'go');
    await script('mmwrite', `while [ ! -e ${go} ]; do sleep 0.01; done; echo written`);
    const request = new AbortController();
    const answer = hostRun({ mmDirectory: directory })(['mmwrite'], 'write', {
      timeoutMs: 1,
      signal: request.signal,
    });
    request.abort();
    await sleep(50);
    await writeFile(go, '');
    expect(await answer).toBe('written\n');
  });

  test('runs in a process group of its own', async () => {
    await script('mmgroup', 'cut -d" " -f1,5 /proc/$$/stat');
    const [pid, group] = (await hostRun({ mmDirectory: directory })(['mmgroup'], 'write'))
      .trim()
      .split(' ');
    expect(group).toBe(pid);
  });
});

describe('the limit on commands at once', () => {
  test('holds, and mm commands that hang do not hold up the tools of the host', async () => {
    const go = join(directory, 'go');
    await script(
      'mmslow',
      `echo x >> ${join(directory, 'log')}; while [ ! -e ${go} ]; do sleep 0.01; done`,
    );
    const run = hostRun({ mmDirectory: directory, atOnce: 2 });
    const answers = ['a', 'b', 'c', 'd'].map(() => run(['mmslow'], 'write'));
    const log = () => readFile(join(directory, 'log'), 'utf8').catch(() => '');
    await until(async () => (await log()).length >= 4);
    expect(await run(['echo', 'free'], 'read')).toBe('free\n');
    expect(await log()).toBe('x\nx\n');
    await writeFile(go, '');
    await Promise.all(answers);
    expect(await log()).toBe('x\nx\nx\nx\n');
  });

  test('refuses a command when too many wait, and lets a read give up waiting', async () => {
    const go = join(directory, 'go');
    await script('mmslow', `while [ ! -e ${go} ]; do sleep 0.01; done`);
    const run = hostRun({ mmDirectory: directory, atOnce: 1, queue: 1 });
    const first = run(['mmslow'], 'write');
    const waiting = failureOf(run(['mmslow'], 'read', { timeoutMs: 300 }));
    const refused = await failureOf(run(['mmslow'], 'write'));
    expect(refused.message).toContain('1 commands are waiting already');
    expect(await waiting).toMatchObject({ timedOut: true });
    await writeFile(go, '');
    await first;
  });
});
