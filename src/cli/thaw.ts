import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { fsfreeze } from '../linux/fsfreeze.ts';
import { joinCgroupsOf } from '../run/cgroups.ts';
import { hostRun } from '../run/host-run.ts';
import { UsageError } from './command/config.ts';
import type { Subcommand } from './command/subcommand.ts';

/** `gpfs-csi thaw`: outlives the driver that froze a file system, and thaws it when its time is up. */
export const thaw: Subcommand = {
  summary: 'thaw a file system after a while; the driver starts this by itself',
  help: [
    'usage: gpfs-csi thaw --path DIR --device NUMBER --ms MS [--join PROC]',
    '',
    '  --path     where the file system is mounted',
    '  --device   the number of its device, so that no other one is thawed',
    '  --ms       when to thaw it, unless `done` is read from standard input before',
    '  --join     directory in /proc of a process whose cgroups to join first',
  ].join('\n'),
  run: async (argv, terminal) => {
    const { path, device, ms, join } = read(argv);
    if (join !== undefined) await joinCgroupsOf(join);
    terminal.out('ready');
    if (await Promise.race([isDismissed(), sleep(ms, false)])) return 0;
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

/** Never resolves when the input only ends: then whoever started us is dead, and has left the thaw to us. */
const isDismissed = (): Promise<boolean> =>
  new Promise((resolve) => {
    process.stdin.on('data', (chunk: Buffer) => {
      if (chunk.toString('latin1').includes('done')) resolve(true);
    });
    process.stdin.on('error', () => undefined);
  });
