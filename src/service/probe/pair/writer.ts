import type { HeldLoop } from '../../../run/trials.ts';
import type { RootStore } from '../../../store/root.ts';
import { isThere, loopedName, type ProbeHost } from '../area.ts';
import { makeFile } from '../cloning.ts';
import { notesOf } from '../notes.ts';
import { say, wordMs, wordOf, type PairResult } from './messages.ts';
import { differenceIn } from './redirector.ts';

/** The number of sectors that each round writes again, and of those that only the parents have. */
const hot = 6;
const cold = 4;

/** Rounds after the redirect, because it may take effect late. */
const roundsAfter = 20;

/** The most rounds: each writes a sector that was not written before, and the file has only so many. */
const mostRounds = 8000;

/** The part of the server that writes through a loop device while the other one redirects the file; keeps the answer. */
export async function playWriter(
  host: ProbeHost,
  store: RootStore,
  at: (name: string) => string,
): Promise<PairResult> {
  const texts = await makeChain(host, store, at);
  const done = await writeAlong(host, store, at, texts);
  if (done === undefined) return 'unknown';
  const mine = await differenceIn(host, at(loopedName), texts);
  await say(store, at('expected'), JSON.stringify(texts));
  const theirs = await wordOf(host, store, at('seen'));
  if (theirs === undefined) return 'unknown';
  const isFine = done === 'redirected' && mine === 'same' && theirs === 'same';
  const kept = await store.abilities.kept();
  if (!kept) return 'unknown';
  await store.abilities.keep({
    ...kept,
    abilities: { ...kept.abilities, redirectAttached: isFine },
  });
  host.log.info({ root: store.layout.root, done, mine, theirs }, 'two nodes probed together');
  return 'settled';
}

/** Makes two parents above the file, each with data of its own: a redirect copies from one and reads through the other. */
async function makeChain(
  host: ProbeHost,
  store: RootStore,
  at: (name: string) => string,
): Promise<string[]> {
  const file = at(loopedName);
  const texts = Array.from({ length: hot + cold }, (_, sector) => `first ${sector}`);
  await makeFile({ host, store, at, notes: notesOf(host.clock) }, file, ...texts);
  await host.clone.snap(file, at('above'));
  const held = await host.trials.open(file);
  try {
    for (let sector = 1; sector < hot + cold; sector += 2) {
      texts[sector] = `second ${sector}`;
      await held.write(sector, texts[sector] ?? '');
    }
  } finally {
    await held.close();
  }
  await host.clone.snap(file, at('between'));
  return texts;
}

/** Writes until the other side is done, and some rounds longer; afterwards `texts` is the expected content. */
async function writeAlong(
  host: ProbeHost,
  store: RootStore,
  at: (name: string) => string,
  texts: string[],
): Promise<string | undefined> {
  const loop = await host.trials.loop(at(loopedName));
  try {
    const startMs = host.clock.now();
    let round = 0;
    for (let last = Infinity; round < Math.min(last, mostRounds); round++) {
      if (host.clock.now() - startMs > wordMs) return undefined;
      // Each round checks the one before: the next write to the same sector would hide a lost write.
      const lost = await writeRound(loop, texts, round);
      if (lost !== undefined) return lost;
      if (round === 0) await say(store, at('go'), 'go');
      else if (last === Infinity && (await isThere(store, at('done')))) last = round + roundsAfter;
      await host.clock.sleep(1);
    }
  } finally {
    await loop.close();
  }
  return wordOf(host, store, at('done'));
}

/** Writes the same sectors again and a new one. Resolves to what is lost of the last round; undefined if nothing is. */
async function writeRound(
  loop: HeldLoop,
  texts: string[],
  round: number,
): Promise<string | undefined> {
  const sectors = [...Array(hot).keys(), hot + cold + round];
  for (const sector of sectors) {
    const before = texts[sector] ?? '';
    const found = await loop.read(sector);
    if (found !== before) return `lost: sector ${sector} is ${found} and not ${before}`;
    texts[sector] = `round ${round} ${sector}`;
    await loop.write(sector, texts[sector]);
  }
  return undefined;
}
