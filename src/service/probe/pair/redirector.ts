import { join } from 'node:path';
import { z } from 'zod';
import { mmErrno } from '../../../gpfs/failures.ts';
import type { RootStore } from '../../../store/root.ts';
import { isThere, loopedName, type ProbeHost } from '../area.ts';
import { say, waitFor, wordMs, wordOf, type PairResult } from './messages.ts';

/** The writer's message about the content of the file: a text for each sector. */
const expectedTexts = z.array(z.string());

/** The part of the server that redirects the file while the other one writes to it, and reads it afterwards. */
export async function playRedirector(
  host: ProbeHost,
  store: RootStore,
  area: string,
): Promise<PairResult> {
  const at = (name: string) => join(area, name);
  if ((await wordOf(host, store, at('go'))) === undefined) return 'unknown';
  const done = await host.clone.redirect(at(loopedName)).then(() => 'redirected', refusalOf);
  await say(store, at('done'), done);
  const expected = await wordOf(host, store, at('expected'));
  if (expected === undefined) return 'unknown';
  const wanted = expectedTexts.parse(JSON.parse(expected));
  await say(store, at('seen'), await differenceIn(host, at(loopedName), wanted));
  // The writer keeps the answer and then removes all files.
  await waitFor(host, wordMs, async () => !(await isThere(store, at('seen'))));
  const kept = await store.abilities.kept();
  return kept?.abilities.redirectAttached === undefined ? 'unknown' : 'settled';
}

/** The message about a refusal by GPFS; throws any other error. */
function refusalOf(error: unknown): string {
  const errno = mmErrno(error);
  if (errno === 'EBUSY' || errno === 'EPERM' || errno === 'EROFS') return `refused ${errno}`;
  throw error;
}

/** The first difference between a file and the wanted texts, in words; 'same' where there is none. */
export async function differenceIn(
  { trials }: Pick<ProbeHost, 'trials'>,
  path: string,
  wanted: readonly string[],
): Promise<string> {
  for (const [sector, text] of wanted.entries()) {
    const found = await trials.read(path, sector);
    if (found !== text) return `sector ${sector} is ${found} and not ${text}`;
  }
  return 'same';
}
