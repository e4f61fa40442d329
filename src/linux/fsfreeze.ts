import { complaintOf, explainFailure, type Run } from '../run/run.ts';

/** Freezes and thaws mounted file systems. */
export const fsfreeze = (run: Run) => ({
  /** Resolves when all written data is on the device and further writes wait. */
  freeze: (path: string): Promise<void> =>
    explainFailure(`the file system at ${path} could not be frozen`, freeze(run, path)),

  /** Resolves also when the file system is not frozen. */
  thaw: async (path: string): Promise<void> => {
    try {
      await run(['fsfreeze', '-u', path], 'write', { isAnswer: isThawed });
    } catch (error) {
      if (isThawed(error)) return;
      await explainFailure(
        `the file system at ${path} could not be thawed`,
        Promise.reject(error as Error),
      );
    }
  },
});

// EINVAL: it is not frozen (any more).
const isThawed = (error: unknown): boolean =>
  complaintOf(error)?.includes('Invalid argument') === true;

async function freeze(run: Run, path: string): Promise<void> {
  await run(['fsfreeze', '-f', path], 'write');
}
