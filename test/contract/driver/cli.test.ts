import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { cli } from '../../support/disk/real-server.ts';

const directory = await mkdtemp(join(tmpdir(), 'gpfs-csi-cli-'));
const simulator = join(directory, 'sim');
afterAll(async () => {
  expect((await ask('simulate', 'down', '--dir', simulator)).status).toBe(0);
  await rm(directory, { recursive: true });
});

/** What a command answered, and how. */
async function ask(...argv: readonly string[]) {
  const running = cli(argv);
  const status = await running.status;
  return { status, out: running.out(), err: running.err() };
}

/** The one object on standard output. */
const object = (out: string): unknown => {
  expect(out).toMatch(/^\{.*\}\n$/);
  return JSON.parse(out);
};

describe.concurrent('the command line', () => {
  test.each([
    [''],
    ['serve'],
    ['tree'],
    ['doctor'],
    ['simulate'],
    ['simulate up'],
    ['simulate down'],
    ['simulate status'],
  ])('"%s --help" tells how it is used, and ends with 0', async (words) => {
    const { status, out, err } = await ask(...words.split(' ').filter(Boolean), '--help');
    expect({ status, err }).toEqual({ status: 0, err: '' });
    expect(out).toContain('usage: ');
  });

  test.each([
    ['', /subcommand is missing/],
    ['fly', /"fly" is not a subcommand/],
    ['constructor', /not a subcommand/],
    ['serve', /--root .*is missing/],
    ['serve --root relative', /absolute/],
    ['serve --nonsense 1', /--nonsense is not a flag/],
    ['serve --root /x --node-id', /--node-id needs a value/],
    ['tree', /--root .*is missing/],
    ['tree --nonsense 1 --root /x', /--nonsense is not a flag of tree/],
    ['simulate', /one of up, down, status/],
    ['simulate sideways', /one of up, down, status/],
    ['simulate up --nonsense', /--nonsense/],
    ['simulate up --size big', /big is no size/],
    ['simulate up --set nonsense=1', /no setting nonsense/],
    ['simulate up --release 9.9', /9\.9/],
  ])('"%s" is wrong usage: 2, and one explanation on standard error', async (words, sentence) => {
    const { status, out, err } = await ask(...words.split(' ').filter(Boolean));
    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(err).toMatch(sentence);
    expect(err).not.toMatch(/^ +at /m);
  });

  test('an endpoint that is missing, or a variable that is unknown, is wrong usage', async () => {
    for (const [env, sentence] of [
      [{}, /CSI_ENDPOINT is missing/],
      [{ CSI_ENDPOINT: 'tcp://127.0.0.1:1' }, /CSI_ENDPOINT/],
      [
        { CSI_ENDPOINT: 'unix:///tmp/x.sock', GPFS_CSI_RUUT: '/x' },
        /GPFS_CSI_RUUT is not a variable/,
      ],
    ] as const) {
      const running = cli(['serve', '--root', '/x'], env);
      expect(await running.status).toBe(2);
      expect(running.err()).toMatch(sentence);
    }
  });

  test('what fails ends with 1 and a sentence', async () => {
    const foreign = join(directory, 'foreign');
    await mkdir(foreign);
    await writeFile(join(foreign, 'mine'), `${'a'.repeat(32)}\n`);
    const up = await ask('simulate', 'up', '--dir', foreign, '--json');
    expect({ ...up, err: '' }).toEqual({ status: 1, out: '', err: '' });
    expect(up.err).toMatch(/holds mine, which the simulator did not make/);
    expect((await ask('simulate', 'down', '--dir', foreign)).status).toBe(1);
    expect(await readdir(foreign)).toEqual(['mine']);
    // The machine may be a container, which has no id of its own.
    const places = [
      '--machine-id-path',
      join(foreign, 'mine'),
      '--state-dir',
      join(directory, 'state'),
    ];
    const argv = ['serve', '--root', '/x', ...places];
    const gone = cli(argv, { CSI_ENDPOINT: `unix://${foreign}/no/x.sock` });
    expect(await gone.status).toBe(1);
    expect(gone.err()).toMatch(/the folder .* does not exist; create it/);
  });

  test('simulate answers one object, twice the same, and says what it is', async () => {
    const up = ['simulate', 'up', '--dir', simulator, '--size', '1G', '--json'] as const;
    const first = await ask(...up);
    expect(first.status).toBe(0);
    expect(object(first.out)).toMatchObject({
      mount: join(simulator, 'fs1'),
      bin: join(simulator, 'bin'),
      device: 'fs1',
      fileset: 'csi-data',
      pools: ['system', 'data'],
    });
    expect((await ask(...up)).out).toBe(first.out);
    const status = await ask('simulate', 'status', '--dir', simulator, '--json');
    expect(status.status).toBe(0);
    expect(object(status.out)).toMatchObject({ state: 'up', reasons: [], damaged: [] });
    for (const expected of [0, 0]) {
      const down = await ask('simulate', 'down', '--dir', simulator, '--json');
      expect(down.status).toBe(expected);
      expect(object(down.out)).toEqual({ state: 'down' });
    }
    const after = await ask('simulate', 'status', '--dir', simulator, '--json');
    expect(after.status).toBe(1);
    expect(object(after.out)).toMatchObject({ state: 'down' });
  });
});
