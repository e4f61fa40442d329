#!/usr/bin/env node
import { CommandFailed } from '../run/run.ts';
import { UsageError } from './command/config.ts';
import { explained } from './command/explained.ts';
import { adopt } from './adopt.ts';
import { doctor } from './doctor.ts';
import { explain } from './explain.ts';
import { exportCommand } from './export.ts';
import { historyCommand } from './history.ts';
import { image } from './image.ts';
import { migrate } from './migrate.ts';
import { report } from './report.ts';
import { serve } from './serve.ts';
import { simulate } from './simulate.ts';
import type { Subcommand, Terminal } from './command/subcommand.ts';
import { thaw } from './thaw.ts';
import { supportBundle } from './support-bundle.ts';
import { tree } from './tree.ts';
import { volumesLeft } from './volumes-left.ts';
import { packageVersion } from './command/version.ts';

// A shared file system that hangs blocks the threads that wait for it, and Node has only four by default.
process.env['UV_THREADPOOL_SIZE'] ??= '16';

// Node would open its inspector on this signal; the image says so with a flag, which not every start has.
process.on('SIGUSR1', () => undefined);

const subcommands = {
  serve,
  image,
  export: exportCommand,
  adopt,
  migrate,
  tree,
  history: historyCommand,
  explain,
  doctor,
  'support-bundle': supportBundle,
  report,
  simulate,
  thaw,
  'volumes-left': volumesLeft,
} as const satisfies Record<string, Subcommand>;

const help = [
  'gpfs-csi: Kubernetes volumes on GPFS file clones',
  '',
  'usage: gpfs-csi SUBCOMMAND [flags]',
  '',
  ...Object.entries(subcommands).map(([name, { summary }]) => `  ${name.padEnd(16)}${summary}`),
  '  version         print the version',
  '',
  'gpfs-csi SUBCOMMAND --help explains one of them. Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.',
].join('\n');

/** Exit status after Ctrl-C, as in shells. */
const interrupted = 130;

const terminal: Terminal = {
  env: process.env,
  out: (text) => {
    process.stdout.write(`${text}\n`);
  },
  err: (text) => {
    process.stderr.write(`${text}\n`);
  },
  isTerminal: process.stdout.isTTY,
  ...(process.stderr.isTTY
    ? {
        bar: {
          write: (text: string) => {
            process.stderr.write(text);
          },
          columns: () => process.stderr.columns,
        },
      }
    : {}),
};

// A reader such as `head` may stop early; that is no failure.
process.stdout.on('error', () => undefined);

const words: Readonly<Record<string, () => string>> = {
  '--help': () => help,
  help: () => help,
  '--version': packageVersion,
  version: packageVersion,
};

async function main([name = '', ...rest]: readonly string[]): Promise<number> {
  const word = Object.hasOwn(words, name) ? words[name] : undefined;
  if (word) return answer(word());
  const chosen = Object.entries(subcommands).find(([known]) => known === name)?.[1];
  if (!chosen)
    throw new UsageError(
      name === '' ? 'a subcommand is missing' : `${JSON.stringify(name)} is not a subcommand`,
    );
  return rest.includes('--help') ? answer(chosen.help) : await chosen.run(rest, terminal);
}

function answer(text: string): number {
  terminal.out(text);
  return 0;
}

function failed(error: unknown, name = ''): number {
  if (error instanceof UsageError) {
    const of = Object.hasOwn(subcommands, name) ? `${name} ` : '';
    terminal.err(`gpfs-csi: ${error.message}\ngpfs-csi ${of}--help explains how it is used`);
    return 2;
  }
  if (isInterruption(error)) {
    terminal.err(
      'gpfs-csi: interrupted; nothing half done is left, the same command may be run again',
    );
    return interrupted;
  }
  terminal.err(explained(error));
  return 1;
}

/** Commands that handle Ctrl-C fail with such an error, after they have undone their work. */
const isInterruption = (error: unknown): boolean =>
  error instanceof Error &&
  (error.name === 'AbortError' || (error.cause instanceof CommandFailed && error.cause.aborted));

// Output in a pipe that was not read yet would be lost at the exit.
const flushed = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => {
    stream.write('', () => {
      resolve();
    });
  });

const argv = process.argv.slice(2);
const status = await main(argv).catch((error: unknown) => failed(error, argv[0]));
// The reader may have stopped, and an interrupted command does not wait for it.
if (status !== interrupted) await flushed(process.stdout);
await flushed(process.stderr);
process.exit(status);
