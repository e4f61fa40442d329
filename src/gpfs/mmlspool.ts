import { KiB, MiB, GiB, type Bytes } from '../model/bytes.ts';
import type { Run, RunOptions } from '../run/run.ts';
import { unreadable } from './failures.ts';

/** A storage pool. Sizes are raw: two data replicas take twice. Old releases do not report them. */
export interface StoragePool {
  readonly name: string;
  readonly space:
    | {
        readonly blockSize: Bytes;
        readonly holdsData: boolean;
        readonly total: Bytes;
        readonly free: Bytes;
      }
    | undefined;
}

const TIME_LIMIT_MS = 30_000;

/** `mmlspool DEVICE all`, which has no `-Y` form in any release. */
export const mmlspool =
  (run: Run) =>
  async (device: string, options?: RunOptions): Promise<readonly StoragePool[]> =>
    parsePools(
      await run(['mmlspool', device, 'all'], 'read', { timeoutMs: TIME_LIMIT_MS, ...options }),
    );

const heading = /^\s*Name\s+Id\b/;
const short = /^(?<name>\S+)\s+\d{1,10}$/;
const long =
  /^(?<name>\S+)\s+\d{1,10}\s+(?<size>\d{1,6})\s+(?<unit>KB|MB|GB)\s+(?<data>yes|no)\s+(?:yes|no)\s+(?<total>\d{1,16})\s+(?<free>\d{1,16})\s+\(\s*\d{1,3}%\)/;
const units: Readonly<Record<string, Bytes>> = { KB: KiB, MB: MiB, GB: GiB };

/** The rows below the heading of the table. */
export function parsePools(output: string): readonly StoragePool[] {
  const lines = output.split('\n').map((line) => line.trim());
  const first = lines.findIndex((line) => heading.test(line));
  if (first < 0) throw unreadable('mmlspool', output);
  return lines
    .slice(first + 1)
    .filter((line) => line !== '')
    .map(parsePool);
}

function parsePool(line: string): StoragePool {
  const bare = short.exec(line);
  const cells = (bare ?? long.exec(line))?.groups;
  if (cells === undefined) throw unreadable('mmlspool', line);
  const at = (name: string): string => cells[name] ?? '';
  const name = at('name');
  if (bare) return { name, space: undefined };
  return {
    name,
    space: {
      blockSize: BigInt(at('size')) * (units[at('unit')] ?? 0n),
      holdsData: at('data') === 'yes',
      total: BigInt(at('total')) * KiB,
      free: BigInt(at('free')) * KiB,
    },
  };
}
