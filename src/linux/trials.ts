import { constants } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';
import { sector } from '../model/bytes.ts';
import { DriverError } from '../model/fault.ts';
import type { Clock } from '../run/clock.ts';
import { complaintOf, type Run } from '../run/run.ts';
import { errnoError } from '../run/files.ts';
import type { HeldFile, HeldLoop, Trials } from '../run/trials.ts';
import { losetup } from './losetup.ts';
import type { Loop } from './loop.ts';
import { loopState } from './sysblock.ts';

const size = Number(sector);
const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants;

/** Trials on the kernel of this machine. */
export const hostTrials = (run: Run, clock: Clock): Trials => {
  const loops = losetup(run, clock);
  return {
    open: async (path) => held(await open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK)),
    read: async (path, at) => {
      const handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
      try {
        return await readSector(handle, at);
      } finally {
        await handle.close();
      }
    },
    loop: async (path) => {
      const loop = await loops.attach(path, { readonly: false, allowBuffered: true });
      return heldLoop(run, loop, () => loops.detach(loop));
    },
    detach: async (path) => {
      const { dev, ino } = await stat(path, { bigint: true });
      const file = { device: dev, inode: ino };
      for (const loop of await loops.loopsOf(file, path)) await loops.detach(loop);
    },
  };
};

async function heldLoop(run: Run, loop: Loop, detach: () => Promise<void>): Promise<HeldLoop> {
  const state = await loopState(loop.path);
  const { path } = loop;
  // The device is opened for each step, so that no read comes from the page cache of an earlier one.
  const within = async <T>(use: (device: HeldFile) => Promise<T>): Promise<T> => {
    const device = held(await open(path, O_RDWR | O_NONBLOCK));
    try {
      return await use(device);
    } finally {
      await device.close();
    }
  };
  const cut = (at: number, ...flags: readonly string[]) =>
    run(['blkdiscard', ...flags, '-o', String(at * size), '-l', String(size), path], 'write', {
      isAnswer: isUnsupported,
    }).then(undefined, refusedBy(path));
  return {
    directIo: state?.directIo === true,
    write: (at, text) => within((device) => device.write(at, text)),
    read: (at) => within((device) => device.read(at)),
    zero: async (at) => {
      await cut(at, '-z');
    },
    discard: async (at) => {
      await cut(at);
    },
    close: detach,
  };
}

// That a file system does not support this is an answer for the probe; any other failure is not.
const isUnsupported = (error: unknown): boolean =>
  /operation not supported/i.test(complaintOf(error) ?? '');

const refusedBy =
  (path: string) =>
  (error: unknown): never => {
    if (isUnsupported(error)) throw errnoError('EOPNOTSUPP', 'discard', path);
    throw new DriverError(
      'command-failed',
      `blkdiscard failed on ${path}; the log of this node has its words`,
      error,
    );
  };

const held = (handle: FileHandle): HeldFile => ({
  write: async (at, text) => {
    const block = Buffer.alloc(size);
    block.write(text, 'utf8');
    await handle.write(block, 0, size, at * size);
    await handle.sync();
  },
  read: (at) => readSector(handle, at),
  close: () => handle.close(),
});

async function readSector(handle: FileHandle, at: number): Promise<string> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(size), 0, size, at * size);
  const end = buffer.subarray(0, bytesRead).findLastIndex((byte) => byte !== 0);
  return buffer.toString('utf8', 0, end + 1);
}
