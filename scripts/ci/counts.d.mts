export interface Counts {
  readonly passed: number;
  readonly failed: number;
}
export function countsOf(output: string, status: number | null): Counts;
export function oneCheck(ok: boolean): Counts;
export function sumOf(all: readonly (Counts | undefined)[], wanted: number): Counts;
