import type { Check } from '../../model/audit/check.ts';
import { DriverError } from '../../model/fault.ts';
import { errnoOf } from '../../run/files.ts';

/** The result of a check: a sentence where all is well, else one finding or several. */
export type CheckResult = string | Omit<Check, 'name'> | readonly Omit<Check, 'name'>[];

/** Runs one check. A DriverError or an error of a system call becomes its finding; any other error is thrown. */
export async function check(
  name: string,
  examine: () => Promise<CheckResult> | CheckResult,
): Promise<readonly Check[]> {
  try {
    const result = await examine();
    if (typeof result === 'string') return [{ name, status: 'ok', says: result }];
    const all = 'status' in result ? [result] : result;
    return all.map((each) => ({ name, ...each }));
  } catch (error) {
    if (!(error instanceof DriverError) && errnoOf(error) === undefined) throw error;
    return [{ name, status: 'failed', says: (error as Error).message }];
  }
}

/** Runs checks one after the other; each runs also after one that failed. */
export async function inOrder(
  ...checks: readonly (() => Promise<readonly Check[]>)[]
): Promise<readonly Check[]> {
  const done: Check[] = [];
  for (const each of checks) done.push(...(await each()));
  return done;
}
