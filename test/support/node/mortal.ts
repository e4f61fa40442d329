import { setTimeout as sleep } from 'node:timers/promises';
import { hostFiles } from '../../../src/run/host-files.ts';
import type { Files } from '../../../src/run/files.ts';
import type { Run } from '../../../src/run/run.ts';

/** Where a process dies: at its n-th step; `during`: while the command that is that step continues without it. */
export interface Death {
  readonly at: number;
  readonly when: 'before' | 'during' | 'after';
}

/** A step that is a command, by its name. */
export const isCommand = (step: string): boolean => step.startsWith('$ ');

// Each call is a step unless it is known to change nothing, so a new call of Files is a step from the start.
const looks: ReadonlySet<string> = new Set<keyof Files>([
  ...(['read', 'list', 'stat', 'statsIn', 'held', 'space'] as const),
  // Only a power cut shows what it does.
  'syncDirectory',
]);

// Long enough for the command to run, too short for most commands to end.
const startedMs = 2;

type AnyCall = (...given: never[]) => Promise<unknown>;

/** Ports that count the steps, which are the calls that change the machine, and call `die` at one of them. */
export function mortal(run: Run, { at, when }: Death, die: (step: string) => never) {
  const steps: string[] = [];
  const step = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    steps.push(name);
    const isLast = steps.length === at;
    if (steps.length > at || (isLast && when === 'before')) die(name);
    const working = work();
    if (isLast && when === 'during') {
      await Promise.race([sleep(startedMs), working.catch(() => undefined)]);
      die(name);
    }
    const result = await working;
    if (isLast) die(name);
    return result;
  };
  const host: Readonly<Record<string, AnyCall>> = { ...hostFiles() };
  const stepping = (name: string, call: AnyCall): AnyCall =>
    looks.has(name) ? call : (...given) => step(name, () => call(...given));
  const files = Object.fromEntries(
    Object.entries(host).map(([name, call]) => [name, stepping(name, call)]),
  ) as unknown as Files;
  const mortalRun: Run = (argv, kind, options) =>
    kind === 'write'
      ? step(`$ ${argv.slice(0, 2).join(' ')}`, () => run(argv, kind, options))
      : run(argv, kind, options);
  return {
    /** The step it died at. */
    last: (): string | undefined => steps[at - 1],
    ports: { files, run: mortalRun },
  };
}
