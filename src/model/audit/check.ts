/** The outcome of one check: well, worth knowing, or wrong. The sentence says what to do where it is wrong. */
export interface Check {
  readonly name: string;
  readonly status: 'ok' | 'note' | 'warning' | 'failed';
  readonly says: string;
  /** What it is about, where that is an object of a root. */
  readonly object?: string;
}

/** Nothing is wrong. */
export const isHealthy = (checks: readonly Check[]): boolean =>
  checks.every(({ status }) => status === 'ok' || status === 'note');
