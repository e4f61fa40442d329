import { CommandFailed, type Run } from '../../../src/run/run.ts';

/** The same Run, but every command of this name fails before it does anything. */
export const mmFails =
  (run: Run, name: string): Run =>
  (argv, ...rest) => {
    if (argv[0] !== name) return run(argv, ...rest);
    const stderr = `${name}: Input/output error\n`;
    return Promise.reject(new CommandFailed({ argv, exitCode: 1, stdout: '', stderr }));
  };
