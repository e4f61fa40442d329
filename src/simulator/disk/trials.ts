import { errnoError } from '../../run/files.ts';
import type { HeldFile, HeldLoop, Trials } from '../../run/trials.ts';
import { parentsOf } from './files.ts';

/**
 * The host's Trials as they would be on GPFS. The kernel underneath writes to clone parents, and its loop
 * devices do all that is asked of them: where the personality says otherwise, the answers are made here.
 */
export function simulatedTrials(host: Trials, simulator: { readonly dir: string }): Trials {
  const { isParent, personality } = parentsOf(simulator);
  return {
    ...host,
    open: async (path) => {
      if (!isParent(path)) return host.open(path);
      if (!personality().writeParent) throw errnoError('EROFS', 'open', path);
      // What it wrote would be there for real, and the simulator would call that damage.
      return { ...(await host.open(path)), write: () => Promise.resolve() } satisfies HeldFile;
    },
    loop: async (path) => {
      const loop = await host.loop(path);
      const { loopDirectIo, zeroInClone, punchHole } = personality();
      const nothing = (): Promise<void> => Promise.resolve();
      return {
        ...loop,
        directIo: loop.directIo && loopDirectIo,
        ...(zeroInClone ? {} : { zero: nothing, discard: nothing }),
        ...(punchHole
          ? {}
          : { discard: () => Promise.reject(errnoError('EOPNOTSUPP', 'discard', path)) }),
      } satisfies HeldLoop;
    },
  };
}
