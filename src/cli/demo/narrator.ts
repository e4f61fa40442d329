import type { Fields, Log } from '../../observe/log.ts';

/** Tells what happens while it happens, with the time and the commands each step took. */
export interface Narrator {
  /** The log to give to the server; commands are counted by what it writes there. */
  readonly log: Log;
  say(text: string): void;
  step<T>(what: string, work: () => Promise<T>): Promise<T>;
}

/** Prints through `write`; warnings of the server are kept for the end of a step that failed. */
export function narrator(write: (text: string) => void): Narrator {
  let commands: string[] = [];
  let complaints: string[] = [];
  const note = (fields: Fields, message: string): void => {
    const { argv } = fields;
    if (message.startsWith('command ') && Array.isArray(argv)) commands.push(nameOf(argv));
  };
  const complain = (fields: Fields, message: string): void => {
    note(fields, message);
    complaints.push(`${message} ${JSON.stringify(fields)}`);
  };
  return {
    log: { debug: note, info: note, warn: complain, error: complain },
    say: (text) => {
      write(`${text}\n`);
    },
    step: async (what, work) => {
      commands = [];
      complaints = [];
      write(`${what} `.padEnd(62, '.'));
      const started = performance.now();
      try {
        const result = await work();
        write(` ${Math.round(performance.now() - started)} ms${counted(commands)}\n`);
        return result;
      } catch (error) {
        write(` failed\n${complaints.join('\n')}\n`);
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
