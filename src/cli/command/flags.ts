import { parseArgs } from 'node:util';

/** What the command line of one command may hold. */
export interface Grammar {
  readonly command: string;
  /** Names of flags without their dashes, and whether a value follows. */
  readonly flags: Readonly<Record<string, 'nothing' | 'value'>>;
  /** The most words that are not flags. */
  readonly words: number;
}

/** A parsed command line. */
export interface Given {
  /** The flags on it with their values; '' for a flag without one. */
  readonly flags: ReadonlyMap<string, string>;
  readonly words: readonly string[];
  /** What is wrong, a sentence each, in the order of the command line. */
  readonly problems: readonly string[];
}

/** Parses a command line. What it may not hold is in `problems`; nothing is thrown. */
export function parseFlags(grammar: Grammar, argv: readonly string[]): Given {
  const kinds = Object.entries(grammar.flags);
  const options = kinds.map(([name, takes]) => {
    const type = takes === 'value' ? ('string' as const) : ('boolean' as const);
    return [name, { type }] as const;
  });
  const config = { options: Object.fromEntries(options), strict: false, tokens: true } as const;
  const flags = new Map<string, string>();
  const words: string[] = [];
  const problems: string[] = [];
  for (const token of parseArgs({ args: [...argv], ...config }).tokens) {
    if (token.kind === 'positional' && words.push(token.value) > grammar.words)
      problems.push(`"${token.value}" is not expected here`);
    if (token.kind !== 'option') continue;
    const wrong = wrongFlag(grammar, token, flags);
    if (wrong === undefined) flags.set(token.name, token.value ?? '');
    else problems.push(wrong);
  }
  return { flags, words, problems };
}

interface FlagToken {
  readonly name: string;
  readonly rawName: string;
  readonly value?: string | undefined;
}

function wrongFlag(
  { command, flags }: Grammar,
  { name, rawName, value }: FlagToken,
  given: ReadonlyMap<string, string>,
): string | undefined {
  const takes = Object.hasOwn(flags, name) ? flags[name] : undefined;
  if (takes === undefined) return `${rawName} is not a flag of ${command}`;
  if (takes === 'value' && value === undefined) return `${rawName} needs a value`;
  if (takes === 'nothing' && value !== undefined) return `${rawName} takes no value`;
  return given.has(name) ? `${rawName} is given twice` : undefined;
}
