import { errnoError } from '../../run/files.ts';
import type { HeldFile, HeldLoop, Trials } from '../../run/trials.ts';
import { parentsOf } from './files.ts';

/**
 * The Trials port of the host, with the answers that GPFS would give. The kernel lets programs write to clone
 * parents, and its loop devices support every request. Where the personality differs, the answer comes from here.
 */
export function simulatedTrials(host: Trials, simulator: { readonly dir: string }): Trials {
  const { isParent, personality } = parentsOf(simulator);
  return {
    ...host,
    open: async (path) => {
      if (!isParent(path)) return host.open(path);
      if (!personality().writeParent) throw errnoError('EROFS', 'open', path);
      // A real write would change the parent, and the simulator would report damage.
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
