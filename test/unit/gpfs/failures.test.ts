import { describe, expect, test } from 'vitest';
import { mmErrno, mmFailure, translated } from '../../../src/gpfs/failures.ts';
import { CommandFailed, type Run } from '../../../src/run/run.ts';

const failure = (what: Partial<ConstructorParameters<typeof CommandFailed>[0]>): CommandFailed =>
  new CommandFailed({
    argv: ['mmlsfs', 'fs1', '-Y'],
    exitCode: 1,
    stdout: '',
    stderr: '',
    ...what,
  });

const kindOf = (what: Parameters<typeof failure>[0]): string => mmFailure(failure(what)).fault.kind;

describe('what GPFS says on stderr', () => {
  test.each([
    ['mmlsfs: Failed to connect to file system daemon: No such process', 'unavailable'],
    ['mmlsfs: GPFS is down on this node.', 'unavailable'],
    ['mmlsfs: This node does not belong to a GPFS cluster.', 'misconfigured'],
    ['mmlsfs: Failed to determine file system manager.', 'unavailable'],
    ['ERROR: file system not mounted. Mount file system fs1 and retry command', 'unavailable'],
    ['mmlsfs: File system fs1 is not known to the GPFS cluster.', 'misconfigured'],
    ['mmlsfs: Unable to determine the local node identity.', 'unavailable'],
    ['Make sure that the following nodes are available: a1', 'unavailable'],
    ['This command requires SuperuserName authority to execute.', 'permission-denied'],
    ['File system is read-only', 'wrong-state'],
    ['Fileset named f does not exist.', 'misconfigured'],
    ['mmlsfs: NO SPACE LEFT ON DEVICE', 'no-space'],
    ['mmlsfs: Disk quota exceeded', 'no-space'],
    ['mmlsfs: Stale file handle', 'unavailable'],
    ['mmlsfs: Operation not permitted', 'permission-denied'],
    ['mmlsfs: Something nobody wrote down', 'command-failed'],
    ['', 'command-failed'],
  ])('%s', (line, kind) => {
    const stderr = `${line}\nmmlsfs: Command failed.  Examine previous error messages to determine cause.\n`;
    expect(kindOf({ stderr })).toBe(kind);
  });

  test('is kept as the cause, and the caller reads our sentence', () => {
    const cause = failure({ stderr: 'mmlsfs: secret words' });
    const error = mmFailure(cause);
    expect(error.cause).toBe(cause);
    expect(error.message).toContain('mmlsfs fs1 -Y failed: ');
    expect(error.message).not.toContain('secret words');
  });

  test('mmclone is not permitted what is in the wrong place of its tree', () => {
    const argv = ['mmclone', 'copy', '/g/a', '/g/b'];
    expect(kindOf({ argv, stderr: 'mmclone: Operation not permitted' })).toBe('wrong-state');
  });
});

describe('a command that did not run to its end', () => {
  test.each([
    [{ exitCode: undefined, timedOut: true }, 'unavailable'],
    [{ exitCode: undefined, aborted: true }, 'unavailable'],
    [
      { exitCode: undefined, cause: Object.assign(new Error(), { code: 'ENOENT' }) },
      'misconfigured',
    ],
    [{ exitCode: undefined, cause: Object.assign(new Error(), { code: 'EAGAIN' }) }, 'unavailable'],
    [{ exitCode: 127, stderr: 'nsenter: failed to execute: No such file' }, 'misconfigured'],
    [{ stderr: 'nsenter: cannot open /proc/1/ns/mnt: Permission denied' }, 'misconfigured'],
    [{ exitCode: 0, stderr: 'it printed more than 10 bytes' }, 'unreadable-output'],
  ] as const)('%j', (what, kind) => {
    expect(kindOf(what)).toBe(kind);
  });
});

test('only failures of commands are translated', async () => {
  const throwing = (error: Error): Run => translated(() => Promise.reject(error));
  const defect = new TypeError('defect');
  await expect(throwing(defect)(['mmlsfs'], 'read')).rejects.toBe(defect);
  await expect(throwing(failure({}))(['mmlsfs'], 'read')).rejects.toMatchObject({
    fault: { kind: 'command-failed' },
  });
  expect(mmErrno(defect)).toBeUndefined();
});
