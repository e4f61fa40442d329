import type { Fields, Log } from '../../observe/log.ts';

/** Prints what happens while it happens, with the time and the commands that each step took. */
export interface Narrator {
  /** The log for the server; its lines show which commands a step ran. */
  readonly log: Log;
  say(text: string): void;
  step<T>(what: string, work: () => Promise<T>): Promise<T>;
}

/** A narrator that prints through `write`. Warnings of the server are printed only where a step fails. */
export function narratorOf(write: (text: string) => void): Narrator {
  let commands: string[] = [];
  let warnings: string[] = [];
  const note = (fields: Fields, message: string): void => {
    const { argv } = fields;
    if (message.startsWith('command ') && Array.isArray(argv)) commands.push(nameOf(argv));
  };
  const complain = (fields: Fields, message: string): void => {
    note(fields, message);
    warnings.push(`${message} ${JSON.stringify(fields)}`);
  };
  return {
    log: { debug: note, info: note, warn: complain, error: complain },
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

const nameOf = (argv: readonly unknown[]): string => {
  const [program, verb] = argv.map(String);
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
