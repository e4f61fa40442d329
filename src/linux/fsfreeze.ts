import { complaintOf, explainFailure, type Run } from '../run/run.ts';

/** Holds up writes to a mounted file system, and lets them go on. */
export const fsfreeze = (run: Run) => ({
  /** Resolves when everything written is on the disk and nothing more is let through. */
  freeze: (path: string): Promise<void> =>
    explainFailure(`the file system at ${path} could not be frozen`, freeze(run, path)),

  /** Also when it is not frozen. */
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

// EINVAL: it is not frozen, or not any more.
const isThawed = (error: unknown): boolean =>
  complaintOf(error)?.includes('Invalid argument') === true;

async function freeze(run: Run, path: string): Promise<void> {
  await run(['fsfreeze', '-f', path], 'write');
}
