import type { Environment } from '../command/settings.ts';
import type { Subcommand, Terminal } from '../command/subcommand.ts';

/** What a command prints as JSON; where it printed none, its complaint is thrown. */
export async function outputOf(
  command: Subcommand,
  argv: readonly string[],
  env: Environment,
): Promise<object> {
  const said = { out: '', err: '' };
  const terminal: Terminal = {
    env,
    out: (text) => (said.out += `${text}\n`),
    err: (text) => (said.err += `${text}\n`),
    isTerminal: false,
  };
  await command.run(argv, terminal);
  if (said.out === '') throw new Error(said.err.trim());
  const printed = JSON.parse(said.out) as object;
  return said.err === '' ? printed : { printed, complaints: said.err.slice(0, 64 * 1024) };
}
