export interface Checkout {
  readonly version: string;
  /** Text of Chart.yaml. */
  readonly chart: string;
  readonly changelog: string;
  readonly tag: string | undefined;
  /** What `git status --porcelain` prints. */
  readonly changes: string;
  readonly base: string | undefined;
}
export function unfitness(checkout: Checkout): readonly string[];
export function withImage(values: string, repository: string, digest: string): string;
