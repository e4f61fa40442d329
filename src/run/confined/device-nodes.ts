import { constants } from 'node:fs';
import { lstat, mkdir, open, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { undefinedWhenMissing } from '../files.ts';
import type { LocateProgram } from '../programs.ts';

// Of Linux; Node has no name for it. The descriptor is a place only: each program that has it opens the device itself.
const O_PATH = 0o10000000;

/** Of devtmpfs, so it is gone after a boot. Only root may enter it. */
const directory = '/dev/gpfs-csi';

/**
 * A block device as a descriptor which every user may open by its path in /proc. It is of a node beside the usual
 * one: udev gives that one its owner and mode back at any time. The nodes stay, as those of the kernel do.
 */
export async function openNode(place: LocateProgram, device: string): Promise<FileHandle> {
  const { rdev } = await stat(device, { bigint: true });
  const [major, minor] = numbersOf(rdev);
  const path = join(directory, `${major}:${minor}`);
  await ensureDirectory();
  if (!(await lstat(path).catch(undefinedWhenMissing))) {
    const [file, ...args] = await place(['mknod', '-m', '666', path, 'b', major, minor]);
    // Another command may make it at the same time: what is there then is checked below.
    await execa(file, args, { reject: false, stdio: 'ignore', cwd: '/', extendEnv: false });
  }
  const handle = await open(path, O_PATH | constants.O_NOFOLLOW);
  const found = await handle.stat({ bigint: true });
  if (found.isBlockDevice() && found.rdev === rdev) return handle;
  await handle.close();
  throw new Error(`${path} is not the block device ${major}:${minor}; remove it`);
}

async function ensureDirectory(): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const found = await lstat(directory);
  if (found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o77) === 0) return;
  throw new Error(`${directory} is not a directory that only root may enter; remove it`);
}

/** As glibc packs the two numbers of a device into one. */
function numbersOf(rdev: bigint): readonly [major: string, minor: string] {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n);
  return [String(major), String(minor)];
}
