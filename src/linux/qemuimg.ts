import { z } from 'zod';
import { DriverError } from '../model/fault.ts';
import { CommandFailed } from '../run/run.ts';
import type { Run, RunOptions } from '../run/run.ts';

/** Memory that qemu-img may use, and seconds of processor time to look at a header. */
const memoryBytes = 1024 ** 3;
const lookSeconds = 30;
const lookMs = 120_000;
/** A conversion ends with the disk, so only something that is stuck meets this. */
const convertMs = 24 * 3_600_000;

const information = z.looseObject({
  format: z.string(),
  'format-specific': z
    .looseObject({
      data: z.looseObject({ corrupt: z.boolean().optional() }),
    })
    .optional(),
});

/** qemu-img under limits. Formats are given, never guessed: a guest can write any header into its disk. */
export interface QemuImg {
  /** Throws wrong-state where qemu-img finds more in a qcow2 image than an image. */
  check(file: string): Promise<void>;
  /** Writes the disk in a qcow2 image into a raw file that is there, of its size, and reads as zeros. */
  toRaw(file: string, raw: string, options?: RunOptions): Promise<void>;
  /** Makes a qcow2 image from a raw file. */
  toQcow2(raw: string, file: string, options?: RunOptions): Promise<void>;
}

/** The qemu-img of this host. */
export function qemuImg(run: Run): QemuImg {
  const limited = (limits: readonly string[], args: readonly string[]) =>
    ['prlimit', `--as=${memoryBytes}`, ...limits, 'qemu-img', ...args] as [string, ...string[]];
  return {
    check: async (file) => {
      // Nothing is lost with it when it is killed at a limit.
      const args = ['info', '--output=json', '--image-opts', opened(file)];
      const argv = limited([`--cpu=${lookSeconds}`], args);
      const text = await run(argv, 'read', { timeoutMs: lookMs }).catch(refuse);
      refuseMore(information.parse(JSON.parse(text)));
    },
    toRaw: async (file, raw, options) => {
      const args = ['convert', '-n', '--target-is-zero', '-W', '-m', '8', '-O', 'raw'];
      const argv = limited([], [...args, '--image-opts', opened(file), raw]);
      await run(argv, 'read', { timeoutMs: convertMs, ...options }).catch(refuse);
    },
    toQcow2: async (raw, file, options) => {
      const argv = limited([], ['convert', '-f', 'raw', '-O', 'qcow2', '-W', '-m', '8', raw, file]);
      await run(argv, 'read', { timeoutMs: convertMs, ...options }).catch(refuse);
    },
  };
}

// No backing file, whatever the header says. A comma in a name is written twice.
const opened = (file: string): string =>
  `driver=qcow2,file.driver=file,file.filename=${file.replaceAll(',', ',,')},backing=`;

function refuseMore(found: z.output<typeof information>): void {
  const data = found['format-specific']?.data ?? {};
  const named = ['backing-filename', 'full-backing-filename'].some((key) => key in found);
  const problems: readonly (readonly [boolean, string])[] = [
    [found.format !== 'qcow2', `is ${found.format}, not qcow2`],
    [named, 'has a backing file'],
    ['data-file' in data, 'keeps its data in another file'],
    [data.corrupt === true, 'is marked as corrupt'],
  ];
  const problem = problems.find(([is]) => is)?.[1];
  if (problem !== undefined) throw new DriverError('wrong-state', `the image ${problem}`);
}

function refuse(error: unknown): never {
  if (!(error instanceof CommandFailed)) throw error;
  if (error.aborted) throw new DriverError('wrong-state', 'qemu-img was interrupted', error);
  if (/not installed|no program at/.test(error.stderr))
    throw new DriverError('misconfigured', 'qemu-img or prlimit is not installed here', error);
  const full = /no space left|quota exceeded/i.test(error.stderr);
  if (full) throw new DriverError('no-space', 'there is no room for the converted image', error);
  const first = error.stderr.trim().split('\n')[0] ?? '';
  throw new DriverError(
    'wrong-state',
    `qemu-img refuses the image, or met its limits${first === '' ? '' : `: ${first}`}`,
    error,
  );
}
