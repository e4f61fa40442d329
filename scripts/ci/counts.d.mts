export interface Counts {
  readonly passed: number;
  readonly failed: number;
}
export function countsOf(output: string, status: number | null): Counts;
export function sumOf(all: readonly Counts[], wanted: number): Counts;
