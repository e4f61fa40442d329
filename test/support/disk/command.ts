import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { inject } from 'vitest';
import type { RealSite } from './real-site.ts';

/** How a command of the driver ended. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** The arguments that run a command of the driver on a site. The root is the site's, unless another is given. */
export function commandLine(
  { root, bin }: RealSite,
  argv: readonly string[],
): readonly [string, ...string[]] {
  const named = argv.includes('--root') ? [] : ['--root', root];
  return [
    process.execPath,
    inject('program'),
    ...argv,
    ...named,
    '--mm-dir',
    bin,
    '--mm-runner',
    'direct',
  ];
}

/** How a command is started, where the defaults do not do. Its output may go to an open file. */
interface Manner {
  readonly out?: number | 'pipe';
  readonly nodeFlags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a command of the driver on a site in its own process. */
export function startCommand(
  site: RealSite,
  argv: readonly string[],
  { out = 'pipe', nodeFlags = [], env = {} }: Manner = {},
): { readonly child: ChildProcess; readonly ended: Promise<Ended> } {
  const [program, ...words] = commandLine(site, argv);
  const child = spawn(program, [...nodeFlags, ...words], {
    env: { PATH: '/usr/bin', NODE_COMPILE_CACHE: inject('compiled'), ...env },
    stdio: ['pipe', out, 'pipe'],
  });
  const said = { out: '', err: '' };
  child.stdout?.on('data', (text: Buffer) => void (said.out += text.toString()));
  child.stderr?.on('data', (text: Buffer) => void (said.err += text.toString()));
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, ...said }));
  return { child, ended };
}

/** The same, with text on standard input, and waits for its end. */
export async function command(
  site: RealSite,
  argv: readonly string[],
  input: Buffer = Buffer.alloc(0),
): Promise<Ended> {
  const { child, ended } = startCommand(site, argv);
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(input);
  return ended;
}
