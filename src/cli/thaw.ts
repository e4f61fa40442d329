import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { fsfreeze } from '../linux/fsfreeze.ts';
import { joinCgroupsOf } from '../run/cgroups.ts';
import { hostRun } from '../run/host-run.ts';
import { UsageError } from './command/config.ts';
import type { Subcommand } from './command/subcommand.ts';

/** `gpfs-csi thaw`: survives the driver that froze a file system, and thaws that after a time limit. */
export const thaw: Subcommand = {
  summary: 'thaw a file system after a time limit; only the driver runs this',
  help: [
    'usage: gpfs-csi thaw --path DIR --device NUMBER --ms MS [--join PROC]',
    '',
    'Prints "ready", waits, and thaws the file system if no line `done` has come on standard input.',
    '',
    '  --path     where the file system is mounted',
    '  --device   the number of its device; a file system on another device is not thawed',
    '  --ms       the time limit, in ms',
    '  --join     directory in /proc of a process; this program joins its cgroups first',
  ].join('\n'),
  run: async (argv, terminal) => {
    const { path, device, ms, join } = read(argv);
    if (join !== undefined) await joinCgroupsOf(join);
    terminal.out('ready');
    const outcome = await Promise.race([dismissed(), sleep(ms, 'late' as const)]);
    if (outcome === 'done') return 0;
    const found = await stat(path, { bigint: true });
    if (found.dev !== device) return 0;
    await fsfreeze(hostRun({ mmDirectory: '/nonexistent' })).thaw(path);
    return 0;
  },
};

function read(argv: readonly string[]) {
  const text = { type: 'string' } as const;
  const options = { path: text, device: text, ms: text, join: text };
  const { values } = parseArgs({ args: [...argv], options, strict: false });
  const { path, device, ms, join } = values;
  const numbers = [device, ms].every((each) => typeof each === 'string' && /^\d+$/.test(each));
  if (typeof path !== 'string' || !numbers)
    throw new UsageError('thaw needs --path, --device and --ms');
  return {
    path,
    device: BigInt(String(device)),
    ms: Number(ms),
    join: typeof join === 'string' ? join : undefined,
  };
}

/** Never resolves when standard input only ends: then the driver is dead, and this program must thaw. */
const dismissed = (): Promise<'done'> =>
  new Promise((resolve) => {
    process.stdin.on('data', (chunk: Buffer) => {
      if (chunk.toString('latin1').includes('done')) resolve('done');
    });
    process.stdin.on('error', () => undefined);
  });
