/** The outcome of a command, as of a process. */
export interface CommandOutcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

export const printed = (lines: readonly string[]): CommandOutcome => ({
  stdout: lines.map((line) => `${line}\n`).join(''),
  stderr: '',
  exitCode: 0,
});

/** The outcome of a command that fails: the causes, then the last line that every failing mm command prints. */
export const refused = (name: string, exitCode: number, ...causes: string[]): CommandOutcome => ({
  stdout: '',
  stderr: [...causes, pointer(name)].map((line) => `${line}\n`).join(''),
  exitCode,
});

export const pointer = (name: string): string =>
  `${name}: Command failed. Examine previous error messages to determine cause.`;

/** A name or value as a cell of a `-Y` row, where `:` separates cells. The same in every release. */
export const encode = (value: string): string =>
  value.replace(
    /[:%/\n\\]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );

/** The cell that means "none". A `-` in other values is not escaped. */
export const none = '%2D%2D';

/** A `-Y` table: one HEADER, then rows; all lines end in `:`. */
export function table(
  command: string,
  section: string,
  columns: readonly string[],
  rows: readonly (readonly string[])[],
): readonly string[] {
  const header = `${command}:${section}:HEADER:version:reserved:reserved:${columns.join(':')}:`;
  return [header, ...rows.map((row) => `${command}:${section}:0:1:::${row.join(':')}:`)];
}

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const months = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');
const two = (value: number): string => String(value).padStart(2, '0');

/** A time as ctime(3) writes it, in UTC. */
export function ctime(ms: number): string {
  const at = new Date(ms);
  const clock = [at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()].map(two).join(':');
  const day = String(at.getUTCDate()).padStart(2, ' ');
  return `${days[at.getUTCDay()] ?? ''} ${months[at.getUTCMonth()] ?? ''} ${day} ${clock} ${at.getUTCFullYear()}`;
}

/** Splits arguments into flags, with the values of those in `takesValue`, and the rest. */
export function parseArguments(
  args: readonly string[],
  takesValue: ReadonlySet<string>,
): { readonly flags: ReadonlyMap<string, string>; readonly rest: readonly string[] } {
  const flags = new Map<string, string>();
  const rest: string[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? '';
    if (!arg.startsWith('-') || arg === '-') rest.push(arg);
    else if (takesValue.has(arg)) flags.set(arg, args[(at += 1)] ?? '');
    else flags.set(arg, '');
  }
  return { flags, rest };
}
