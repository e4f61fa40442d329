import { equal, match } from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Case } from '../case.ts';
import { gpfsMount } from '../gpfs.ts';
import { kubectl, type Space } from '../kube.ts';
import { pod, volumePath } from '../objects.ts';
import { checkout, release } from '../setup/places.ts';
import { sh } from '../setup/shell.ts';
import { patienceMs } from '../setup/wait.ts';

const folder = join(checkout, 'deploy', 'examples', 'image');
const mebibyte = 2 ** 20;

/** Disks that come from outside, and the volumes of pods. */
export const goldenCases: readonly Case[] = [
  {
    id: 'example-image',
    says: 'deploy/examples/image: pods read a qcow2 image through its class, and a raw one through a VolumeSnapshot',
    run: async (space) => {
      const disk = await makeDisk();
      try {
        await mkdir(images, { recursive: true });
        await sh(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', disk.file, converted]);
        await fromClass(space, disk);
        await fromSnapshot(space, disk);
      } finally {
        await rm(images, { recursive: true, force: true });
        await rm(disk.folder, { recursive: true, force: true });
      }
    },
  },
];

// What docs/images.md says of a pod: it sees the files of GPFS and no others.
const images = join(gpfsMount, 'images');
const converted = join(images, 'rocky9.qcow2');

/** gpfs-csi in the driver's pod, as docs/images.md has it. */
const gpfsCsi = (args: readonly string[], input?: Buffer): Promise<string> => {
  const inside = ['exec', '-i', `ds/${release.name}-node`, '-c', 'driver', '--', 'gpfs-csi'];
  const manner = input === undefined ? {} : { input };
  return kubectl(['-n', release.namespace, ...inside, ...args], manner);
};

interface Disk {
  readonly folder: string;
  readonly file: string;
  readonly bytes: number;
  /** The sum of the disk, and that of the one file of its file system. */
  readonly sum: string;
  readonly fileSum: string;
}

const sumOf = (content: Buffer): string => createHash('md5').update(content).digest('hex');

async function makeDisk(): Promise<Disk> {
  const work = await mkdtemp(join(tmpdir(), 'gpfs-csi-disk-'));
  const [tree, file] = [join(work, 'tree'), join(work, 'disk.raw')];
  const content = randomBytes(8 * mebibyte);
  await mkdir(tree);
  await writeFile(join(tree, 'content'), content);
  await sh(['truncate', '-s', '64M', file]);
  await sh(['mkfs.ext4', '-q', '-b', '4096', '-d', tree, file]);
  const { size } = await stat(file);
  const sum = sumOf(await readFile(file));
  return { folder: work, file, bytes: size, sum, fileSum: sumOf(content) };
}

/** A class that names the image, and a claim of it. */
async function fromClass(space: Space, disk: Disk): Promise<void> {
  const how = ['--name', 'rocky9', '--format', 'qcow2'];
  match(await gpfsCsi(['image', 'import', converted, ...how]), /image rocky9 is ready: 64 MiB/);
  await rm(converted);
  await withExample(space, 'class.yaml', '', async () => {
    await space.apply(pod('from-class', { claim: 'from-image' }));
    await space.reaches('pod/from-class', '.status.phase', 'Running');
    const read = `md5sum < ${volumePath}/content; df -m ${volumePath} | tail -1`;
    const [sum = '', filled = ''] = (await space.exec('from-class', read)).split('\n');
    equal(sum.split(' ')[0], disk.fileSum);
    equal(Number(filled.trim().split(/\s+/)[1]) > 19_000, true, 'it has grown to its claim');
    await space.remove('pod/from-class', 'pvc/from-image');
  });
  await gpfsCsi(['image', 'remove', 'rocky9']);
}

/** A VolumeSnapshot of the image, and the example's claim from it, as for the disk of a virtual machine. */
async function fromSnapshot(space: Space, disk: Disk): Promise<void> {
  const how = ['--name', 'base', '--format', 'raw', '--size', String(disk.bytes)];
  await gpfsCsi(['image', 'import', '-', ...how], await readFile(disk.file));
  const handle = /^snapshotHandle: (\S+)$/m.exec(await gpfsCsi(['image', 'show', 'base']))?.[1];
  await withExample(space, 'image.yaml', handle ?? '', async () => {
    await space.apply(pod('vm', { claim: 'vm-disk', block: true }));
    await space.reaches('pod/vm', '.status.phase', 'Running');
    const start = `dd if=${volumePath} bs=1M count=${disk.bytes / mebibyte} 2>/dev/null | md5sum`;
    equal((await space.exec('vm', start)).split(' ')[0], disk.sum);
    await space.remove('pod/vm', 'pvc/vm-disk');
  });
  // The image outlives the objects, as the example says.
  match(await gpfsCsi(['image', 'list']), /^base {2}64 MiB/m);
  await gpfsCsi(['image', 'remove', 'base']);
}

/** Applies a file of the example in the namespace of the case, with the handle filled in, and deletes it afterwards. */
async function withExample(
  space: Space,
  name: string,
  handle: string,
  work: () => Promise<void>,
): Promise<void> {
  const input = (await readFile(join(folder, name), 'utf8'))
    .replaceAll('namespace: default', `namespace: ${space.name}`)
    .replaceAll('00000000.image-rocky9', handle);
  await kubectl(['apply', '-f', '-'], { input });
  try {
    await work();
  } finally {
    // A claim waits for its pods.
    await space.remove('pods', '--all');
    const limit = `--timeout=${patienceMs / 1000}s`;
    await kubectl(['delete', '-f', '-', '--ignore-not-found', limit], { input });
  }
}
