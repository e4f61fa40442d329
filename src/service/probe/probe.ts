import { showRelease } from '../../gpfs/release.ts';
import type { Gpfs } from '../../gpfs/commands.ts';
import { abilitiesFrom, isComplete, strangeOutcomes } from '../../model/abilities.ts';
import { isFault } from '../../model/fault.ts';
import { errnoOf } from '../../run/files.ts';
import { recordFormat } from '../../store/schema/data.ts';
import type { AbilitiesFile } from '../../store/abilities.ts';
import type { RootStore } from '../../store/root.ts';
import { sweepProbes, withArea, type ProbeHost } from './area.ts';
import { tryBasics, tryParent, tryRedirects, type Probing } from './cloning.ts';
import { tryLoops } from './looping.ts';
import { Contradiction, notesOf } from './notes.ts';

/** What a probe at the start of a server needs: it also asks GPFS for its version. */
export interface StartingProbe extends ProbeHost {
  readonly fs: Gpfs['fs'];
}

/**
 * Probes a root, unless a server of this version has done so already on this release of GPFS. Servers may probe at
 * the same time. Resolves to the result that is kept.
 */
export async function probeOnce(host: StartingProbe, store: RootStore): Promise<AbilitiesFile> {
  await sweepProbes(host, store);
  const release = showRelease((await host.fs(store.facts.fileSystem)).version);
  const kept = await keptOrNone(store);
  const { version } = host.self;
  if (kept?.complete === true && kept.version === version && kept.release === release) return kept;
  return probeNow(host, store, release);
}

/** Probes a root now, and keeps the answers. */
export async function probeNow(
  host: ProbeHost,
  store: RootStore,
  release: string,
): Promise<AbilitiesFile> {
  const { outcomes, latencyMs } = await probeRoot(host, store);
  const before = await keptOrNone(store);
  // Only two nodes together find this out, and it stays valid for the same release.
  const { redirectAttached } = before?.release === release ? before.abilities : {};
  const found: AbilitiesFile = {
    format: recordFormat,
    node: host.self.node,
    version: host.self.version,
    release,
    probedMs: host.clock.now(),
    complete: isComplete(outcomes),
    abilities: {
      ...abilitiesFrom(outcomes),
      ...(redirectAttached === undefined ? {} : { redirectAttached }),
    },
    outcomes: { ...outcomes },
    latencyMs: { ...latencyMs },
  };
  await store.abilities.keep(found);
  const strange = strangeOutcomes(outcomes);
  const words = { root: store.layout.root, complete: found.complete, abilities: found.abilities };
  if (strange.length > 0) host.log.error({ ...words, strange }, 'this GPFS is not as it should be');
  else host.log.info(words, 'GPFS was probed');
  return found;
}

/** Makes all trials with tiny files, and removes these. */
const probeRoot = (
  host: ProbeHost,
  store: RootStore,
): Promise<Pick<ReturnType<typeof notesOf>, 'outcomes' | 'latencyMs'>> =>
  withArea(host, store, async (at) => {
    const notes = notesOf(host.clock);
    const probing = { host, store, notes, at };
    if (!(await tryBasics(probing))) return notes;
    const parent = await tryParent(probing);
    await tryRedirects(probing);
    await tryLoops(probing);
    await tryRemovals(probing, parent);
    return notes;
  });

const removePauses = [50, 100, 150, ...Array<number>(24).fill(250)];

/** Tries to remove a parent without children; GPFS may still refuse that for a moment. */
async function tryRemovals({ host, store, notes, at }: Probing, parent: string): Promise<void> {
  const { files } = store;
  const gone = await notes.attempt('removeChild', async () => {
    for (const name of ['child', 'first']) await files.unlink(at(name));
  });
  if (!gone) return;
  await notes.attempt('removeChildless', async () => {
    for (const ms of removePauses) {
      // It may still be between the parent and a child, unless a redirect has removed it from the chain.
      await files.unlink(at('middle')).catch(errnoOrThrow);
      if ((await files.unlink(parent).catch(errnoOrThrow)) === undefined) return;
      await host.clock.sleep(ms);
    }
    throw new Contradiction('it was refused for seconds');
  });
}

function errnoOrThrow(error: unknown): string {
  const code = errnoOf(error);
  if (code === undefined) throw error;
  return code;
}

/** The kept result. Undefined for a damaged file, which is replaced; throws for one of a newer version, which stays. */
async function keptOrNone(store: RootStore): Promise<AbilitiesFile | undefined> {
  try {
    return await store.abilities.kept();
  } catch (error) {
    if (!isFault(error, 'unreadable-record') || error.message.includes('has format')) throw error;
    return undefined;
  }
}
