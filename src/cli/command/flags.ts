import { parseArgs } from 'node:util';

/** What the command line of one command may hold. */
export interface Grammar {
  readonly command: string;
  /** Names of flags without their dashes, and what follows each. */
  readonly flags: Readonly<Record<string, 'nothing' | 'value'>>;
  /** How many words that are no flags may stand there. */
  readonly words: number;
}

/** A command line in its parts. */
export interface Given {
  /** Flags that were given, with their values; '' for one that takes nothing. */
  readonly flags: ReadonlyMap<string, string>;
  readonly words: readonly string[];
  /** What is wrong, a sentence each, in the order of the command line. */
  readonly problems: readonly string[];
}

/** Takes a command line apart; what it may not hold is a problem by name. */
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
