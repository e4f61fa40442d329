import type { Check } from '../../model/audit/check.ts';
import { DriverError } from '../../model/fault.ts';
import { errnoOf } from '../../run/files.ts';

/** What a look resolves to: a sentence where all is well, else a check or several. */
export type CheckResult = string | Omit<Check, 'name'> | readonly Omit<Check, 'name'>[];

/** One check; a failure of ours is its sentence, and anything else is a defect. */
export async function check(
  name: string,
  look: () => Promise<CheckResult> | CheckResult,
): Promise<readonly Check[]> {
  try {
    const looked = await look();
    if (typeof looked === 'string') return [{ name, status: 'ok', says: looked }];
    const all = 'status' in looked ? [looked] : looked;
    return all.map((each) => ({ name, ...each }));
  } catch (error) {
    if (!(error instanceof DriverError) && errnoOf(error) === undefined) throw error;
    return [{ name, status: 'failed', says: (error as Error).message }];
  }
}

/** Several checks that do not wait for each other's success, one after the other. */
export async function inOrder(
  ...checks: readonly (() => Promise<readonly Check[]>)[]
): Promise<readonly Check[]> {
  const done: Check[] = [];
  for (const each of checks) done.push(...(await each()));
  return done;
}
