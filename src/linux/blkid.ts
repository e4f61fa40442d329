import { open } from 'node:fs/promises';
import { DriverError } from '../model/fault.ts';
import { CommandFailed, withHint, type Run } from '../run/run.ts';
import { deviceSize } from './sysblock.ts';

/** What is on a device. `nothing` means that blkid knows no signature there; random data is `nothing` too. */
export type DeviceContent =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'filesystem'; readonly type: string }
  | { readonly kind: 'other'; readonly what: string };

const nothingFound = 2;
const severalFound = 8;
const probed = 1024 * 1024;

const isAnswer = ({ exitCode }: CommandFailed): boolean =>
  exitCode === nothingFound || exitCode === severalFound;

/** Probes the device itself: blkid's cache, and a search by UUID, would confuse a clone with its source. */
export const blkid = (run: Run) => ({
  probe: async (device: string): Promise<DeviceContent> => {
    try {
      const argv = ['blkid', '-p', '-o', 'export', device] as const;
      return parseProbe(await run(argv, 'read', { isAnswer, device }));
    } catch (error) {
      if (error instanceof CommandFailed && error.exitCode === nothingFound)
        return { kind: 'nothing' };
      if (error instanceof CommandFailed && error.exitCode === severalFound)
        return { kind: 'other', what: 'several signatures at once' };
      throw error instanceof CommandFailed
        ? new DriverError('command-failed', withHint(`${device} could not be probed`, error), error)
        : error;
    }
  },
});

/** Reads what `blkid -p -o export` printed. Throws unreadable-output. */
export function parseProbe(output: string): DeviceContent {
  const values = new Map(
    output.split('\n').map((line) => {
      const at = line.indexOf('=');
      return [line.slice(0, at), line.slice(at + 1)] as const;
    }),
  );
  const type = values.get('TYPE');
  const table = values.get('PTTYPE');
  if (type !== undefined && values.get('USAGE') === 'filesystem')
    return { kind: 'filesystem', type };
  if (type !== undefined) return { kind: 'other', what: type };
  if (table !== undefined) return { kind: 'other', what: `a ${table} partition table` };
  throw new DriverError('unreadable-output', `blkid printed ${JSON.stringify(output)}`);
}

/** True when the first and the last MiB hold only zeros: checked before a format, as blkid knows only signatures. */
export const looksBlank = (device: string): Promise<boolean> =>
  withZeros(
    device,
    async (isZero, size) => (await isZero(0)) && isZero(Math.max(0, size - probed)),
  );

/** True when all of a device reads as zeros. */
export const readsAsZeros = (device: string): Promise<boolean> =>
  withZeros(device, async (isZero, size) => {
    for (let at = 0; at < size; at += probed) if (!(await isZero(at))) return false;
    return true;
  });

async function withZeros(
  device: string,
  use: (isZero: (at: number) => Promise<boolean>, size: number) => Promise<boolean>,
): Promise<boolean> {
  const size = Number(await deviceSize(device));
  const zeros = Buffer.alloc(probed);
  const buffer = Buffer.alloc(probed);
  const handle = await open(device, 'r');
  try {
    const isZero = async (at: number) => {
      const { bytesRead } = await handle.read(buffer, 0, probed, at);
      return buffer.subarray(0, bytesRead).equals(zeros.subarray(0, bytesRead));
    };
    return await use(isZero, size);
  } finally {
    await handle.close();
  }
}
