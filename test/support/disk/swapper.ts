import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** The user who owns the directories of these tests, and runs the swapper. */
export const attacker = 64_242;

/**
 * What a swapper waits for before it swaps: the end of a program with these words on its command line, a second name of
 * a file, a read of a file that had another name at the start, or a new name in a directory that begins so.
 */
type Cue =
  | { readonly linked: string }
  | { readonly ended: string }
  | { readonly read: string; readonly formerly: string }
  | { readonly appears: string; readonly prefix: string };

/** After the cue, each rename in turn; `FOUND` stands for the new name, and a number is a pause in ms. */
export interface Swap {
  readonly cue: Cue;
  readonly then: readonly (readonly [from: string, to: string] | number)[];
}

// It looks without a pause, as an attacker would.
const source = `
  const fs = require('fs');
  const swaps = JSON.parse(process.argv[1]);
  const text = (path) => { try { return fs.readFileSync(path, 'latin1'); } catch { return ''; } };
  const stat = (path) => { try { return fs.statSync(path, { bigint: true }); } catch { return undefined; } };
  const names = (path) => { try { return fs.readdirSync(path); } catch { return []; } };
  const begun = swaps.map(({ cue }) => cue.read && stat(cue.formerly)?.atimeNs);
  const runs = (words) => names('/proc').some((pid) => /^[0-9]+$/.test(pid) && pid !== String(process.pid) &&
    text('/proc/' + pid + '/cmdline').replaceAll('\\0', ' ').includes(words));
  const met = (cue, n) => {
    if (cue.ended) {
      while (!runs(cue.ended));
      while (runs(cue.ended));
      return 'yes';
    }
    if (cue.linked) return (stat(cue.linked)?.nlink ?? 1n) > 1n ? 'yes' : undefined;
    if (cue.read) return stat(cue.read)?.atimeNs !== begun[n] ? 'yes' : undefined;
    return names(cue.appears).find((name) => name.startsWith(cue.prefix));
  };
  const pause = (ms) => { for (const end = Date.now() + ms; Date.now() < end;); };
  process.stdout.write('ready');
  for (const [n, { cue, then }] of swaps.entries()) {
    let found;
    while (!(found = met(cue, n)));
    for (const step of then)
      if (typeof step === 'number') pause(step);
      else try { fs.renameSync(...step.map((name) => name.replace('FOUND', found))); } catch {}
  }
`;

/** Starts an unprivileged process that swaps files at each cue in turn. Disposing of it ends the process. */
export async function startSwapper(swaps: readonly Swap[]): Promise<AsyncDisposable> {
  const child = spawn(process.execPath, ['-e', source, JSON.stringify(swaps)], {
    uid: attacker,
    gid: attacker,
    cwd: '/',
    env: {},
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  await once(child.stdout, 'data');
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await closed;
    },
  };
}
