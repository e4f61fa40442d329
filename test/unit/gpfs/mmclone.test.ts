import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { gpfsCommands } from '../../../src/gpfs/commands.ts';
import { cloneErrno, parseShow } from '../../../src/gpfs/mmclone.ts';
import { CommandFailed, type Run } from '../../../src/run/run.ts';
import { simulateGpfs } from '../../../src/simulator/memory/gpfs.ts';

const heading = `Parent  Depth   Parent inode   File name
------  -----  --------------  ---------
`;
const row = (parent: string, depth: string, inode: string, name: string): string =>
  `${parent.padStart(6)}  ${depth.padStart(5)}  ${inode.padStart(14)}  ${name}\n`;

describe('mmclone show', () => {
  test('tells the root of a tree, a clone, a parent in the middle, and a plain file', () => {
    const show = (line: string) => parseShow(heading + line, '/gpfs0/test.txt');
    expect(show('   yes      0                  /gpfs0/test.txt\n')).toEqual({
      kind: 'parent',
      depth: 0,
      parentInode: undefined,
    });
    expect(show('    no      1          148488  /gpfs0/test.txt\n')).toEqual({
      kind: 'clone',
      depth: 1,
      parentInode: 148488n,
    });
    expect(show('   yes      2          148488  /gpfs0/test.txt\n')).toEqual({
      kind: 'parent',
      depth: 2,
      parentInode: 148488n,
    });
    expect(show('                               /gpfs0/test.txt\n')).toEqual({ kind: 'plain' });
  });

  test('is not misled by digits that begin a file name', () => {
    const file = '/148488 x';
    expect(parseShow(heading + row('yes', '0', '', file), file)).toMatchObject({
      parentInode: undefined,
    });
  });

  test('tolerates more text around the name, as for a clone of a file in a snapshot', () => {
    const line = row('no', '1', '77', '/g/a (snapshot s1, fileset f1)');
    expect(parseShow(heading + line, '/g/a')).toMatchObject({ kind: 'clone', parentInode: 77n });
  });

  test('refuses what it cannot read', () => {
    const lines = [
      '',
      heading,
      `${heading}/g/a\n`,
      heading + row('no', '1', '', '/g/a'),
      heading + row('maybe', '1', '7', '/g/a'),
      heading + row('yes', 'x', '7', '/g/a'),
      heading + row('no', '1', '7', '/g/b'),
    ];
    for (const output of lines) expect(() => parseShow(output, '/g/a')).toThrow(/does not know/);
  });

  test('reads back what printf lays out', () => {
    const name = fc
      .string({ minLength: 1, maxLength: 40, unit: 'grapheme' })
      .map((text) => `/${text.replaceAll(/[\r\n]/g, '_')}`);
    const status = fc.oneof(
      fc.constant({ kind: 'plain' as const }),
      fc.record({
        kind: fc.constantFrom('clone' as const, 'parent' as const),
        depth: fc.integer({ min: 0, max: 1000 }),
        parentInode: fc.bigInt({ min: 1n, max: 99_999_999_999_999n }),
      }),
    );
    fc.assert(
      fc.property(status, name, (wanted, file) => {
        const line =
          wanted.kind === 'plain'
            ? row('', '', '', file)
            : row(
                wanted.kind === 'parent' ? 'yes' : 'no',
                String(wanted.depth),
                String(wanted.parentInode),
                file,
              );
        expect(parseShow(heading + line, file)).toEqual(wanted);
      }),
    );
  });
});

describe('mmclone over the simulated GPFS', () => {
  const setUp = async () => {
    const gpfs = simulateGpfs();
    const { clone } = gpfsCommands(gpfs.run);
    const at = (name: string): string => `${gpfs.filesetPath}/${name}`;
    await gpfs.files.createSparse(at('a'), 1n << 30n, 0o660);
    return { gpfs, clone, at };
  };

  test('makes a tree, shows it, and cuts a file out of it', async () => {
    const { gpfs, clone, at } = await setUp();
    await clone.snap(at('a'), at('p'));
    await clone.copy(at('p'), at('b'));
    const parentInode = (await gpfs.files.stat(at('p'))).inode;
    expect(await clone.show(at('p'))).toMatchObject({ kind: 'parent', depth: 0 });
    expect(await clone.show(at('a'))).toEqual({ kind: 'clone', depth: 1, parentInode });
    expect(await clone.show(at('b'))).toEqual({ kind: 'clone', depth: 1, parentInode });
    await clone.split(at('a'));
    await clone.redirect(at('b'));
    expect(await clone.show(at('a'))).toEqual({ kind: 'plain' });
    expect(await clone.show(at('b'))).toEqual({ kind: 'plain' });
  });

  test('tells apart why it was refused', async () => {
    const { gpfs, clone, at } = await setUp();
    const refusal = async (attempt: Promise<void>) => {
      const error: unknown = await attempt.catch((caught: unknown) => caught);
      return cloneErrno(error);
    };
    await clone.snap(at('a'), at('p'));
    expect(await refusal(clone.snap(at('a'), at('p')))).toBe('EEXIST');
    expect(await refusal(clone.snap(at('none'), at('q')))).toBe('ENOENT');
    expect(await refusal(clone.copy(at('a'), at('q')))).toBe('EPERM');
    expect(await refusal(clone.freeze(at('p')))).toBe('EROFS');
    expect(await refusal(clone.copy(at('p'), `${gpfs.mountPoint}/other`))).toBe('EXDEV');
    gpfs.set({ snapOpen: false });
    const file = gpfs.open(at('a'));
    expect(await refusal(clone.snap(at('a'), at('q')))).toBe('EBUSY');
    file.close();
    expect(await refusal(clone.snap(at('a'), at('q')))).toBeUndefined();
  });

  test('a full file system and a daemon that is down have faults of their own', async () => {
    const { gpfs, clone, at } = await setUp();
    gpfs.set({ full: true });
    await expect(clone.snap(at('a'), at('p'))).rejects.toMatchObject({
      fault: { kind: 'no-space' },
    });
    gpfs.set({ full: false, daemon: 'down' });
    await expect(clone.snap(at('a'), at('p'))).rejects.toMatchObject({
      fault: { kind: 'unavailable' },
    });
  });

  test('takes absolute paths only', async () => {
    const { clone } = await setUp();
    await expect(clone.copy('p', '/b')).rejects.toThrow('absolute');
  });
});

test('a directory that is called like an error does not make one', async () => {
  const run: Run = (argv) =>
    Promise.reject(
      new CommandFailed({
        argv,
        exitCode: 1,
        stdout: '',
        stderr: 'mmclone: /g/File exists/a: No such file or directory\n',
      }),
    );
  const error: unknown = await gpfsCommands(run)
    .clone.snap('/g/File exists/a', '/g/p')
    .catch((caught: unknown) => caught);
  expect(cloneErrno(error)).toBe('ENOENT');
});
