import type { Fields, Log } from '../../observe/log.ts';
import type { Run } from '../../run/run.ts';

/** Prints what happens while it happens, with the time and the commands that each step took. */
export interface Narrator {
  /** The log for the server: its warnings are printed where a step fails. */
  readonly log: Log;
  /** The same commands, counted for the step that runs them. */
  readonly watched: (run: Run) => Run;
  say(text: string): void;
  step<T>(what: string, work: () => Promise<T>): Promise<T>;
}

/** A narrator that prints through `write`. Warnings of the server are printed only where a step fails. */
export function narratorOf(write: (text: string) => void): Narrator {
  let commands: string[] = [];
  let warnings: string[] = [];
  const ignore = (): void => undefined;
  const complain = (fields: Fields, message: string): void => {
    warnings.push(`${message} ${JSON.stringify(fields)}`);
  };
  return {
    log: { debug: ignore, info: ignore, warn: complain, error: complain },
    watched: (run) => (argv, kind, options) => {
      commands.push(nameOf(argv));
      return run(argv, kind, options);
    },
    say: (text) => {
      write(`${text}\n`);
    },
    step: async (what, work) => {
      commands = [];
      warnings = [];
      write(`${what} `.padEnd(62, '.'));
      const started = performance.now();
      try {
        const result = await work();
        write(` ${Math.round(performance.now() - started)} ms${counted(commands)}\n`);
        return result;
      } catch (error) {
        write(` failed\n${warnings.join('\n')}\n`);
        throw error;
      }
    },
  };
}

const nameOf = ([program, verb]: readonly string[]): string => {
  const name = (program ?? '').slice((program ?? '').lastIndexOf('/') + 1);
  return name === 'mmclone' ? `${name} ${verb ?? ''}` : name;
};

function counted(commands: readonly string[]): string {
  const mm = commands.filter((name) => name.startsWith('mm'));
  const other = commands.filter((name) => !name.startsWith('mm'));
  const parts = [mm.length === 0 ? 'no mm command' : mm.join(', ')];
  if (other.length > 0) parts.push(`host: ${other.join(', ')}`);
  return `, ${parts.join('; ')}`;
}
