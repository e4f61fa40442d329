import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { RealSite } from './realsite.ts';

const main = join(import.meta.dirname, '../../src/cli/main.ts');

/** How a command of the driver ended. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A command of the driver on a site, in a process of its own. */
export function startCommand(
  site: RealSite,
  argv: readonly string[],
): { readonly child: ChildProcess; readonly ended: Promise<Ended> } {
  const flags = ['--root', site.root, '--mm-dir', site.bin, '--mm-runner', 'direct'];
  const child = spawn(process.execPath, [main, ...argv, ...flags], { env: { PATH: '/usr/bin' } });
  let [out, err] = ['', ''];
  child.stdout.on('data', (text: Buffer) => void (out += text.toString()));
  child.stderr.on('data', (text: Buffer) => void (err += text.toString()));
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, out, err }));
  return { child, ended };
}

/** The same, to its end, with this on its standard input. */
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
