import { hostFiles } from '../../src/run/hostfiles.ts';
import type { Files } from '../../src/run/files.ts';
import type { Run } from '../../src/run/run.ts';

/** Ports whose n-th effect on the machine is the last: `die` is called before or after it. */
export function mortal(run: Run, at: number, when: 'before' | 'after', die: () => never) {
  let count = 0;
  const effect = async <T>(work: () => Promise<T>): Promise<T> => {
    count += 1;
    if (count > at || (count === at && when === 'before')) die();
    const result = await work();
    if (count === at) die();
    return result;
  };
  const files = hostFiles();
  const dying: Partial<Files> = {
    createDurable: (...given) => effect(() => files.createDurable(...given)),
    createSparse: (...given) => effect(() => files.createSparse(...given)),
    rename: (...given) => effect(() => files.rename(...given)),
    unlink: (...given) => effect(() => files.unlink(...given)),
    makeDirectory: (...given) => effect(() => files.makeDirectory(...given)),
    removeDirectory: (...given) => effect(() => files.removeDirectory(...given)),
  };
  const dyingRun: Run = (argv, kind, options) =>
    kind === 'write' ? effect(() => run(argv, kind, options)) : run(argv, kind, options);
  return { died: () => count >= at, ports: { files: { ...files, ...dying }, run: dyingRun } };
}
