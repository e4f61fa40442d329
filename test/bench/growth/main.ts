// `npm run bench:growth`: makes file systems as the driver does, grows them far, and checks them. As root.
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { superblock } from '../../../src/linux/disk-head.ts';
import { growfs } from '../../../src/linux/growfs.ts';
import { losetup } from '../../../src/linux/losetup.ts';
import { mkfs } from '../../../src/linux/mkfs.ts';
import { mounter } from '../../../src/linux/mount.ts';
import { GiB, MiB, TiB, showBytes, type Bytes } from '../../../src/model/bytes.ts';
import type { FsType } from '../../../src/model/capability.ts';
import { systemClock } from '../../../src/run/clock.ts';
import { hostFiles, hostMounts } from '../../../src/run/host-files.ts';
import { hostRun } from '../../../src/run/host-run.ts';
import { CommandFailed } from '../../../src/run/run.ts';
import { load } from '../machine.ts';

type Case = readonly [fsType: FsType, made: Bytes, grown: Bytes];

const cases: readonly Case[] = [
  ['ext4', 16n * MiB, TiB],
  ['ext4', 64n * MiB, 100n * GiB],
  ['ext4', 64n * MiB, 4n * TiB],
  ['ext4', 128n * MiB, TiB],
  ['ext4', GiB, TiB],
  ['ext4', GiB, 8n * TiB],
  ['ext4', 100n * GiB, 8n * TiB],
  ['ext4', 8n * TiB, 16n * TiB],
  ['ext4', 64n * TiB, 64n * TiB],
  ['xfs', 300n * MiB, 100n * GiB],
  ['xfs', 300n * MiB, TiB],
  ['xfs', 10n * GiB, 8n * TiB],
  ['xfs', 10n * GiB, 64n * TiB],
  ['xfs', TiB, 64n * TiB],
  ['xfs', 64n * TiB, 64n * TiB],
  ['xfs', 300n * MiB, 10n * TiB],
  ['btrfs', 128n * MiB, 10n * TiB],
  ['btrfs', 128n * MiB, 64n * TiB],
  ['btrfs', 64n * TiB, 64n * TiB],
];

const checks = {
  ext4: ['e2fsck', '-fn'],
  xfs: ['xfs_repair', '-n'],
  btrfs: ['btrfs', 'check'],
} as const;

const { values } = parseArgs({
  options: {
    dir: { type: 'string', default: tmpdir() },
    only: { type: 'string' },
    'check-seconds': { type: 'string', default: '200' },
  },
});
const checkSeconds = Number(values['check-seconds']);
const run = hostRun({ mmDirectory: '/nonexistent' });
const loops = losetup(run, systemClock);
const mounts = mounter(run, hostMounts());
const show = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

async function seconds(work: () => Promise<unknown>): Promise<string> {
  const begun = performance.now();
  await work();
  return ((performance.now() - begun) / 1000).toFixed(2);
}

/** `clean`, or how the check ended. */
async function checked(fsType: FsType, device: string): Promise<string> {
  const [program, ...words] = checks[fsType];
  try {
    await run([program, ...words, device], 'read', {
      timeoutMs: checkSeconds * 1000,
      rights: 'all',
    });
    return 'clean';
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    if (error.timedOut) return `did not end in ${checkSeconds} s`;
    return `status ${error.exitCode ?? 'none'}`;
  }
}

async function measure([fsType, made, grown]: Case, directory: string): Promise<readonly string[]> {
  const image = join(directory, 'image');
  const point = join(directory, 'point');
  await mkdir(point, { recursive: true });
  await writeFile(image, '');
  await truncate(image, Number(made));
  const loop = await loops.attach(image, { readonly: false, allowBuffered: true });
  const held = async () => Number(((await hostFiles().held(image)) * 10n) / MiB) / 10;
  const mount = () => mounts.mount(loop.path, point, fsType, []);
  try {
    const device = loop.path;
    const making = await seconds(() => mkfs(run)(device, fsType, { size: made, again: false }));
    const before = await held();
    await truncate(image, Number(grown));
    await loops.refresh(loop);
    const { ext4Offline, xfs, btrfs } = growfs(run);
    if (fsType !== 'ext4') await mount();
    const online = { xfs, btrfs };
    const growing = await seconds(() =>
      fsType === 'ext4' ? ext4Offline(device) : online[fsType](point),
    );
    await mounts.unmount(point);
    const mounting = await seconds(mount);
    await mounts.unmount(point);
    const size = (await superblock(device))?.bytes ?? 0n;
    const left = [before, await held()].map(String);
    const check = await checked(fsType, device);
    const sizes = [made, grown, size].map(showBytes);
    const times = [making, growing, mounting];
    const type: string = fsType;
    return [type].concat(sizes, times, left, check);
  } finally {
    await mounts.unmount(point);
    await loops.detach(loop);
    await rm(image);
  }
}

const directory = await mkdtemp(join(values.dir, 'growth-'));
try {
  const head = 'type,made in,device,size then,mkfs s,grow s,mount s,MiB before,MiB after,check';
  show(`| ${head.split(',').join(' | ')} |`);
  show(`|${' --- |'.repeat(head.split(',').length)}`);
  for (const each of cases.filter(([fsType]) => fsType === (values.only ?? fsType)))
    show(`| ${(await measure(each, directory)).join(' | ')} |`);
  show(`\nload at the end: ${load()}`);
} finally {
  await rm(directory, { recursive: true, force: true });
}
