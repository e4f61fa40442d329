import { execFileSync } from 'node:child_process';
import { randomBytes, pbkdf2 } from 'node:crypto';
import { chmod, mkdtemp, open, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { qemuImg } from '../../../src/linux/qemu-img.ts';
import { confiners } from '../../../src/run/confined/confinements.ts';
import { hostRun } from '../../../src/run/host-run.ts';
import { inheritedPath, type Run } from '../../../src/run/run.ts';

// Programs that read bytes of tenants, as real processes: a stand-in has the name of the tool, and does what hostile
// bytes could make the tool do.

const system = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];
let directory: string;
let run: Run;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'confined-'));
  await chmod(directory, 0o755);
  run = hostRun({ mmDirectory: '/nonexistent', searchPath: [directory, ...system] });
});

afterEach(() => rm(directory, { recursive: true }));

const standIn = async (name: string, text: string): Promise<void> => {
  await writeFile(join(directory, name), `#!/bin/bash\n${text}\n`);
  await chmod(join(directory, name), 0o755);
};

test('memory beyond the limit fails, and the hint names the limit', async () => {
  const holding = 'set -o pipefail; head -c 400000000 /dev/zero | tail -c 400000000 | wc -c';
  for (const name of ['blkid', 'e2fsck']) await standIn(name, holding);
  await expect(run(['blkid'], 'read')).rejects.toMatchObject({
    hint: expect.stringMatching(/^blkid needs more than the 256 MiB of memory/) as unknown,
  });
  expect((await run(['e2fsck'], 'read')).trim()).toBe('400000000');
});

test('a qcow2 image of a few KiB that makes qemu-img use a GiB is refused, and the error says why', async () => {
  const path = join(directory, 'hostile.qcow2');
  const made = ['create', '-q', '-f', 'qcow2', '-o', 'cluster_size=512,refcount_bits=64'];
  execFileSync('qemu-img', [...made, path, '1M']);
  // A check counts eight bytes for each cluster that the file seems to have.
  await truncate(path, 80 * 2 ** 30);
  await using file = await open(path, 'r');
  await file.chmod(0o444);
  await expect(
    qemuImg(hostRun({ mmDirectory: '/nonexistent' })).check(file, 2n ** 20n),
  ).rejects.toThrow(
    'the image could not be read: qemu-img needs more than the 1 GiB of memory that it may use',
  );
});

test('the stacks of threads have their usual size, whatever the node gives its processes', async () => {
  const paths = ['disk.raw', 'disk.qcow2', 'new.raw'].map((name) => join(directory, name));
  const [raw = '', qcow2 = '', target = ''] = paths;
  await writeFile(raw, randomBytes(64 * 2 ** 20));
  execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, qcow2]);
  await writeFile(target, '');
  await truncate(target, 64 * 2 ** 20);
  await using from = await open(qcow2, 'r');
  await from.chmod(0o444);
  await using to = await open(target, 'r+');
  const limit = (soft: string) =>
    execFileSync('prlimit', ['--pid', String(process.pid), `--stack=${soft}:`]);
  const before = execFileSync('prlimit', ['--stack', '--raw', '--noheadings', '-o', 'SOFT']);
  limit(String(256 * 2 ** 20));
  try {
    await qemuImg(hostRun({ mmDirectory: '/nonexistent' })).toRaw(from, to);
  } finally {
    limit(before.toString().trim());
  }
  expect((await readFile(target)).equals(await readFile(raw))).toBe(true);
});

test('a thread that cannot start is said to be one, with both limits that it may have met', async () => {
  await standIn(
    'qemu-img',
    'echo "qemu: qemu_thread_create: Resource temporarily unavailable" >&2; kill -ABRT $$',
  );
  await using file = await open('/dev/null', 'r');
  await expect(qemuImg(run).check(file, 1n)).rejects.toThrow(
    /^the image could not be read: qemu-img could start no further thread: it needs more than the 1 GiB/,
  );
  await standIn('qemu-img', 'echo "qemu-img: something else" >&2; kill -ABRT $$');
  await expect(qemuImg(run).check(file, 1n)).rejects.toThrow(
    'qemu-img refuses the image: it was ended by SIGABRT, qemu-img: something else',
  );
});

test('processor time ends, and the hint says so', async () => {
  await standIn('qemu-img', 'while :; do :; done');
  await expect(run(['qemu-img'], 'read', { cpuSeconds: 1 })).rejects.toMatchObject({
    timedOut: false,
    hint: expect.stringMatching(/^qemu-img used all the processor time/) as unknown,
  });
});

test('what never ends is killed at its time limit', async () => {
  await standIn('blkid', `echo $$ > ${join(directory, 'pid')}; exec sleep 600`);
  await writeFile(join(directory, 'pid'), '');
  await chmod(join(directory, 'pid'), 0o666);
  await expect(run(['blkid'], 'read', { timeoutMs: 1500 })).rejects.toMatchObject({
    timedOut: true,
  });
  const pid = (await readFile(join(directory, 'pid'), 'utf8')).trim();
  expect(pid).toMatch(/^\d+$/);
  const state = () =>
    readFile(`/proc/${pid}/stat`, 'utf8').then(
      (stat) => stat,
      () => 'gone',
    );
  while (!/gone|\) Z /.test(await state())) await sleep(10);
});

test('no listener of the machine is reached', async () => {
  const server = createServer((socket) => socket.end());
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  const port = typeof address === 'object' ? String(address?.port) : '';
  const connecting = `exec 9<>/dev/tcp/127.0.0.1/${port} && echo connected`;
  try {
    for (const name of ['blkid', 'mkfs.xfs', 'resize2fs', 'losetup'])
      await standIn(name, connecting);
    await expect(run(['blkid'], 'read')).rejects.toThrow('status 1');
    await expect(run(['mkfs.xfs'], 'write')).rejects.toThrow('status 1');
    await expect(run(['resize2fs'], 'write', { rights: 'all' })).rejects.toThrow('status 1');
    // A command that reads nothing of a tenant stays as it was.
    expect(await run(['losetup'], 'write')).toBe('connected\n');
  } finally {
    server.close();
  }
});

test('what a reader prints at once arrives, however long its device takes to be closed', async () => {
  await standIn('blkid', 'echo TYPE=xfs');
  // Keeps every thread busy that closes files.
  let isOver = false;
  const busy = Array.from({ length: 8 }, async () => {
    while (!isOver) await promisify(pbkdf2)('a', 'b', 100_000, 64, 'sha512');
  });
  try {
    const device = '/dev/null';
    expect(await run(['blkid', device], 'read', { device })).toBe('TYPE=xfs\n');
  } finally {
    isOver = true;
    await Promise.all(busy);
  }
});

test('a reader whose libraries only root may read fails, and the hint says what to change', async () => {
  // The words of the loader of glibc 2.41, in a system whose root directory had mode 0700.
  const words =
    'error while loading shared libraries: libblkid.so.1: cannot open shared object file';
  await standIn('blkid', `echo "/usr/sbin/blkid: ${words}: Permission denied" >&2; exit 127`);
  await expect(run(['blkid'], 'read')).rejects.toMatchObject({
    hint: expect.stringMatching(/may not read its libraries here; let all users/) as unknown,
  });
});

const who = 'id -u; id -G; grep -E "^(CapEff|CapBnd|NoNewPrivs)" /proc/self/status; ulimit -c';

test('a reader is a user of its own, without privileges and without a core file', async () => {
  await standIn('qemu-img', who);
  const seen = async () => (await run(['qemu-img'], 'read')).split('\n');
  const [first, second] = [await seen(), await seen()];
  const [user, groups, ...rest] = first;
  expect(Number(user)).toBeGreaterThanOrEqual(0x70000000);
  expect(groups).toBe(user);
  expect(rest.map((line) => line.replaceAll('\t', ' '))).toEqual([
    'CapEff: 0000000000000000',
    'CapBnd: 0000000000000000',
    'NoNewPrivs: 1',
    '0',
    '',
  ]);
  expect(second[0]).not.toBe(user);
});

test('what formats is root with one capability', async () => {
  await standIn('mkfs.btrfs', who);
  const lines = (await run(['mkfs.btrfs'], 'write')).replaceAll('\t', ' ').split('\n');
  expect(lines.slice(0, 2)).toEqual(['0', '0']);
  expect(lines.slice(2, 5)).toEqual([
    'CapEff: 0000000000200000',
    'CapBnd: 0000000000200000',
    'NoNewPrivs: 1',
  ]);
});

test('a reader opens the file that it was given, and no other of root', async () => {
  await standIn('qemu-img', 'cat "$1"');
  const path = join(directory, 'secret');
  await writeFile(path, 'a secret', { mode: 0o600 });
  await using given = await open(path, 'r');
  const argv = ['qemu-img', inheritedPath(0)] as const;
  await expect(run(['qemu-img', path], 'read')).rejects.toThrow('Permission denied');
  await expect(run(argv, 'read', { files: [given] })).rejects.toThrow('Permission denied');
  await given.chmod(0o444);
  expect(await run(argv, 'read', { files: [given] })).toBe('a secret');
});

test('a reader opens its device, and no other device or way to it', async () => {
  const image = join(directory, 'image');
  await writeFile(image, 'bytes'.padEnd(4096, '.'));
  const attach = () =>
    execFileSync('losetup', ['-f', '--show', image], { encoding: 'utf8' }).trim();
  const [device, other] = [attach(), attach()];
  try {
    await standIn(
      'blkid',
      'shift; head -c 5 "$@" 2>&1; echo; echo "x" | dd of="$1" conv=notrunc 2>&1',
    );
    const words = await run(['blkid', '-p', device], 'read', { device });
    expect(words).toMatch(/^bytes\n/);
    expect(words).toContain('2 bytes copied');
    const both = run(['blkid', '-p', other, device], 'read', { device });
    await expect(both).rejects.toMatchObject({
      stdout: expect.stringContaining('denied') as unknown,
    });
    await expect(run(['blkid', '-p', device], 'read')).rejects.toThrow();
    await standIn('blkid', 'ls /dev/gpfs-csi');
    await expect(run(['blkid'], 'read')).rejects.toThrow('Permission denied');
  } finally {
    for (const each of [device, other]) execFileSync('losetup', ['-d', each]);
  }
});

test.each(confiners)(
  'without %s no reader runs, and the hint says what to install',
  async (name) => {
    const apart = await mkdtemp(join(directory, 'apart-'));
    await chmod(apart, 0o755);
    for (const each of confiners.filter((other) => other !== name))
      await symlink(`/usr/bin/${each}`, join(apart, each));
    await writeFile(join(apart, 'blkid'), '#!/bin/bash\necho ran\n');
    await chmod(join(apart, 'blkid'), 0o755);
    const failing = hostRun({ mmDirectory: '/nonexistent', searchPath: [apart] })(
      ['blkid'],
      'read',
    );
    await expect(failing).rejects.toMatchObject({
      stdout: '',
      hint: `${name} is not installed on this node, and blkid does not run without it; install util-linux`,
    });
  },
);
