import { execFileSync } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { sectorBytesIn } from '../../../src/linux/disk-head.ts';
import { loopState } from '../../../src/linux/sysblock.ts';
import { MiB } from '../../../src/model/bytes.ts';
import type { Capability } from '../../../src/model/capability.ts';
import { gptDisk } from './disks.ts';
import { run, type Ground, type GroundVolume, type Ready } from './ground.ts';
import { stageAsk } from './requests.ts';

/** How large the disks are. */
export const sizes = { gpt: 16n * MiB, ext4: 320n * MiB, xfs: 320n * MiB };

/** What is put on an image before it becomes a volume. */
const disks = {
  gpt: (image: string) => gptDisk(image, Number(sizes.gpt), 512, [{ first: 2048, last: 4095 }]),
  xfs: async (image: string, ground: Ground) => {
    // Made on another file system: on an XFS with larger sectors, mkfs makes none with these.
    const elsewhere = join(ground.directory, 'xfs.raw');
    await run(['truncate', '-s', String(sizes.xfs), elsewhere], 'write');
    await run(['mkfs.xfs', '-q', '-f', '-s', 'size=512', elsewhere], 'write');
    await run(['cp', '--reflink=never', '--sparse=always', elsewhere, image], 'write');
    await run(['rm', elsewhere], 'write');
  },
  ext4: async (image: string) => {
    await run(['mkfs.ext4', '-q', '-F', '-b', '1024', image], 'write', { rights: 'all' });
  },
} as const;

/** A volume like an adopted disk: its record has the sector size, and its content is never formatted. */
export async function disk(ground: Ground, kind: keyof typeof disks, capability: Capability) {
  const ready = await ground.ready(capability, sizes[kind], { kind: 'unknown' });
  await disks[kind](ready.volume.image, ground);
  const sectorBytes = await sectorBytesIn(ready.volume.image);
  await recordSectors(ground, ready.volume, sectorBytes);
  expect(sectorBytes).toBe(512);
  return ready;
}

/** A clone of such a disk, attached, and what stages it. */
export async function cloneOfDisk(
  ground: Ground,
  { volume, ask: { capability } }: Pick<Ready, 'volume' | 'ask'>,
  name: string,
  kind: keyof typeof sizes,
) {
  const clone = await ground.clone(volume, name, sizes[kind]);
  await recordSectors(ground, clone, 512);
  await ground.attach(clone, capability);
  return { clone, askClone: stageAsk(clone, await ground.place(name), capability) };
}

/** Changes what the record says of the sectors of a volume. */
export const recordSectors = (ground: Ground, { local }: GroundVolume, sectorBytes: number) =>
  ground.store.volumes.update(local, (record) => ({ ...record, sectorBytes }));

/** The loop devices of a ground, as the kernel has them. */
export const states = async (ground: Ground) => Promise.all((await ground.loops()).map(loopState));

/** Writes one sector of 512 bytes straight to a device. */
export function writeSector(device: string, at: number, data: Buffer): void {
  const one = ['bs=512', 'count=1', 'status=none'];
  execFileSync('dd', [`of=${device}`, `seek=${at}`, 'oflag=direct', 'conv=fsync,notrunc', ...one], {
    input: data,
  });
}
/** Reads one sector of 512 bytes straight from a device. */
export const readSector = (device: string, at: number): Buffer =>
  execFileSync('dd', [`if=${device}`, `skip=${at}`, 'iflag=direct', 'bs=512', 'count=1'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });

/** The blocks of an image, and its first MiB: what a format would change. */
export const contentOf = async ({ store }: Ground, { image }: GroundVolume) => {
  await using handle = await open(image);
  const { buffer } = await handle.read(Buffer.alloc(2 ** 20), 0, 2 ** 20, 0);
  return { held: await store.files.held(image), head: buffer.toString('base64') };
};

/** What a device of such a disk must be like. */
export const direct = { directIo: true, sectorBytes: 512 };
