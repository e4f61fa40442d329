/** The environment and the output of a subcommand; `out` is for results, `err` for everything else. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether `out` is a terminal. */
  readonly isTerminal: boolean;
  /** Where a bar may be drawn: standard error, where that is a terminal. */
  readonly bar?: { readonly write: (text: string) => void; readonly columns: () => number };
}

/** What the first word after `gpfs-csi` names. */
export interface Subcommand {
  /** One line for the list of subcommands; begins with a verb. */
  readonly summary: string;
  /** The whole help text. */
  readonly help: string;
  /** Resolves to the exit status: 0 done, 1 failed. Throws UsageError, which ends with 2. */
  readonly run: (argv: readonly string[], terminal: Terminal) => Promise<number>;
}
