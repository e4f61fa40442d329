import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { REDACTED } from '../observe/redact.ts';
import { CommandFailed, type Run } from './run.ts';

const MAX_LOGGED = 2048;

/** The same Run, with one log line and metrics for each command. */
export function observedRun(run: Run, log: Log, metrics: Metrics): Run {
  const runs = metrics.counter(
    'gpfs_csi_commands_total',
    'Commands that ended, by name and result.',
  );
  const seconds = metrics.histogram('gpfs_csi_command_seconds', 'How long commands took, by name.');

  return async (argv, kind, options) => {
    const started = performance.now();
    const done = (result: 'ok' | 'failed'): number => {
      const ms = performance.now() - started;
      const command = nameOf(argv[0]);
      runs({ command, kind, result });
      seconds(ms / 1000, { command });
      return Math.round(ms);
    };
    const { shown, hide } = harmless(argv);
    try {
      const output = await run(argv, kind, options);
      log.debug({ argv: shown, kind, ms: done('ok'), exitCode: 0 }, 'command ended');
      return output;
    } catch (error) {
      const isAnswer = error instanceof CommandFailed && options?.isAnswer?.(error) === true;
      const ms = done(isAnswer ? 'ok' : 'failed');
      const fields = { argv: shown, kind, ms, ...failureFields(error, hide) };
      if (isAnswer) log.debug(fields, 'command ended');
      else log.warn(fields, 'command failed');
      throw error;
    }
  };
}

/** The same Run for trials, where each command that ends by itself is an answer. */
export const tryingRun =
  (run: Run): Run =>
  (argv, kind, options) =>
    run(argv, kind, { ...options, isAnswer: ({ exitCode }) => exitCode !== undefined });

const nameOf = (program: string): string => program.slice(program.lastIndexOf('/') + 1);

function failureFields(error: unknown, hide: (text: string) => string): Record<string, unknown> {
  if (!(error instanceof CommandFailed)) return { error };
  const { exitCode, timedOut, aborted } = error;
  const stderr = hide(error.stderr).trim();
  return { exitCode, timedOut, aborted, stderr: stderr.slice(0, MAX_LOGGED) };
}

/** Arguments that may be logged: options of mount(8) come from callers and may contain a password. */
function harmless(argv: readonly string[]): {
  readonly shown: readonly string[];
  readonly hide: (text: string) => string;
} {
  const secret = (_: string, n: number): boolean => {
    const before = argv[n - 1];
    return nameOf(argv[0] ?? '') === 'mount' && (before === '-o' || before === '--options');
  };
  const hidden = argv.filter(secret).filter((value) => value !== '');
  return {
    shown: argv.map((argument, n) => (secret(argument, n) ? REDACTED : argument)),
    hide: (text) => hidden.reduce((rest, value) => rest.replaceAll(value, REDACTED), text),
  };
}
