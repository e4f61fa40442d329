import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** What the Go program in this folder prints. */
export interface Report {
  /** How many of each kind were compared, as the published module has them. */
  readonly compared: Readonly<Record<string, number>>;
  readonly differences: readonly Difference[];
}

/** One fact that is not the same; a side that does not have it is null. */
interface Difference {
  readonly at: string;
  readonly published: string | null;
  readonly ours: string | null;
}

const run = promisify(execFile);

/** Builds the Go program into `directory` and returns a function that compares one file by it. */
export async function buildComparison(
  directory: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<(protoFile: string) => Promise<Report>> {
  const program = join(directory, 'compare');
  try {
    await run('go', ['build', '-buildvcs=false', '-o', program, '.'], {
      cwd: import.meta.dirname,
      env,
    });
  } catch (error) {
    throw new Error(whyNotBuilt(error), { cause: error });
  }
  return async (protoFile) => {
    const { stdout } = await run(program, [protoFile]);
    return JSON.parse(stdout) as Report;
  };
}

function whyNotBuilt(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('code' in error && error.code === 'ENOENT') {
    return 'the Go compiler is not on the PATH; install Go 1.25 or newer, which the comparison with the published CSI module is written in';
  }
  return `the comparison with the published CSI module could not be built: ${error.message}`;
}
