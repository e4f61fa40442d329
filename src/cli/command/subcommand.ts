/** Where a subcommand reads and writes; `out` is for answers, `err` for everything else. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether `out` is read by a person at a terminal. */
  readonly isTerminal: boolean;
}

/** One word after `gpfs-csi`. */
export interface Subcommand {
  /** One line for the list of subcommands. */
  readonly summary: string;
  /** All of its help. */
  readonly help: string;
  /** Resolves to the exit status: 0 done, 1 failed. Throws UsageError for what ends with 2. */
  readonly run: (argv: readonly string[], terminal: Terminal) => Promise<number>;
}
