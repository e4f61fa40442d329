import type { FileHandle } from 'node:fs/promises';
import { z } from 'zod';
import type { Bytes } from '../model/bytes.ts';
import { DriverError } from '../model/fault.ts';
import { CommandFailed, inheritedPath, type Run, type RunOptions } from '../run/run.ts';

/** Seconds of processor time to read a header and all tables. */
const lookSeconds = 30;
const tableSeconds = 120;
const lookMs = 120_000;
const tableMs = 30 * 60_000;
/** A conversion ends when the disk ends, so only one that hangs reaches this limit. */
const convertMs = 24 * 3_600_000;

export const information = z.looseObject({
  format: z.string(),
  'format-specific': z
    .looseObject({
      data: z.looseObject({ corrupt: z.boolean().optional() }),
    })
    .optional(),
});

export const tables = z.looseObject({
  'total-clusters': z.int().positive(),
  'allocated-clusters': z.int().nonnegative().default(0),
});

/** What qemu-img printed. Throws unreadable-output. */
export function parseImage<T>(schema: z.ZodType<T>, output: string): T {
  try {
    return schema.parse(JSON.parse(output));
  } catch (error) {
    throw new DriverError(
      'unreadable-output',
      'qemu-img answered in a form this driver does not know; the log of this node has the line',
      error,
    );
  }
}

/** A file by its descriptor: what has its name by the time the command runs does not matter. */
type Opened = Pick<FileHandle, 'fd'>;

type Target = Pick<FileHandle, 'fd' | 'chmod'>;

/** qemu-img, confined. Formats are given, never detected: a guest can write any header into its disk. */
export interface QemuImg {
  /**
   * Checks a qcow2 image; resolves to how many bytes of its disk are data. Throws wrong-state for an image that
   * refers to other files, is corrupt or has tables that contradict each other.
   */
  check(file: Opened, disk: Bytes): Promise<Bytes>;
  /**
   * Writes the disk of a qcow2 image into a raw file, which has its size and reads as zeros. The file must lie in a
   * directory that only root may enter: every user may write to it from then on, until the caller sets its mode.
   */
  toRaw(file: Opened, raw: Target, options?: RunOptions): Promise<void>;
  /** Makes a qcow2 image from a raw file, in an empty file. */
  toQcow2(raw: Opened, file: Opened, options?: RunOptions): Promise<void>;
}

/** The qemu-img of this host. */
export function qemuImg(run: Run): QemuImg {
  return {
    check: async (file, disk) => {
      // It only reads, so a kill at a limit loses nothing.
      const look = (verb: string, cpuSeconds: number, timeoutMs: number) => {
        const argv = ['qemu-img', verb, '--output=json', '--image-opts', onlyFile] as const;
        return run(argv, 'read', { timeoutMs, cpuSeconds, files: [file] });
      };
      const text = await look('info', lookSeconds, lookMs).catch(refuse);
      refuseMore(parseImage(information, text));
      const found = await look('check', tableSeconds, tableMs).catch(leaksAtMost);
      return allocatedOf(parseImage(tables, found), disk);
    },
    toRaw: async (file, raw, options) => {
      await raw.chmod(0o666);
      const words = ['-n', '--target-is-zero', '-O', 'raw', '--image-opts', onlyFile];
      await convert(words, { ...options, files: [file, raw] });
    },
    // It reads a raw disk as it is, so nothing in there is taken for a header.
    toQcow2: (raw, file, options) =>
      convert(['-f', 'raw', '-O', 'qcow2', inheritedPath(0)], {
        ...options,
        files: [raw, file],
        rights: 'all',
      }),
  };

  async function convert(words: readonly string[], options: RunOptions): Promise<void> {
    const argv = ['qemu-img', 'convert', '-W', '-m', '8', ...words, inheritedPath(1)] as const;
    await run(argv, 'read', { timeoutMs: convertMs, ...options }).catch(refuse);
  }
}

/** How many bytes of the disk are data; never more than it has. */
export function allocatedOf(found: z.output<typeof tables>, disk: Bytes): Bytes {
  const total = BigInt(found['total-clusters']);
  const allocated = BigInt(found['allocated-clusters']);
  return allocated >= total ? disk : (disk * allocated) / total;
}

// No backing file, whatever the header says.
const onlyFile = `driver=qcow2,file.driver=file,file.filename=${inheritedPath(0)},backing=`;

function refuseMore(found: z.output<typeof information>): void {
  const data = found['format-specific']?.data ?? {};
  const named = ['backing-filename', 'full-backing-filename'].some((key) => key in found);
  const problems: readonly (readonly [boolean, string])[] = [
    [
      found.format !== 'qcow2',
      `is ${found.format}, not qcow2; name its format, or convert it with qemu-img`,
    ],
    [named, 'has a backing file; flatten it with qemu-img convert first'],
    ['data-file' in data, 'keeps its data in another file; flatten it with qemu-img convert first'],
    [data.corrupt === true, 'is marked as corrupt; see qemu-img check'],
  ];
  const problem = problems.find(([is]) => is)?.[1];
  if (problem !== undefined) throw new DriverError('wrong-state', `the image ${problem}`);
}

/** Accepts leaked clusters, which do no harm. Throws for every other error in the tables. */
function leaksAtMost(error: unknown): string {
  if (error instanceof CommandFailed && error.exitCode === 3) return error.stdout;
  if (error instanceof CommandFailed && error.exitCode === 2)
    throw new DriverError(
      'wrong-state',
      'the tables of the image contradict each other; qemu-img check tells more, and may repair it',
      error,
    );
  return refuse(error);
}

function refuse(error: unknown): never {
  if (!(error instanceof CommandFailed)) throw error;
  if (error.aborted)
    throw new DriverError(
      'wrong-state',
      'qemu-img was interrupted; run the same command again',
      error,
    );
  if (error.hint !== undefined)
    throw new DriverError('wrong-state', `the image could not be read: ${error.hint}`, error);
  if (/not installed|no program at/.test(error.stderr))
    throw new DriverError(
      'misconfigured',
      'qemu-img is not installed here; install it (qemu-utils), or convert the image to raw elsewhere',
      error,
    );
  const full = /no space left|quota exceeded/i.test(error.stderr);
  if (full)
    throw new DriverError(
      'no-space',
      'there is no room for the converted image; add space, or make the image smaller',
      error,
    );
  // Where a signal ended it, its own words come after that.
  const first = error.stderr.trim().split('\n').slice(0, 2).join(', ');
  throw new DriverError(
    'wrong-state',
    `qemu-img refuses the image${first === '' ? '' : `: ${first}`}`,
    error,
  );
}
