import type { RootStore } from '../../store/root.ts';
import { isThere, type ProbeHost } from './area.ts';
import { Contradiction, expectRead, type Notes } from './notes.ts';

/** A sparse file as large as two of GPFS's largest blocks, so that each trial stays inside one whole block. */
const fileBytes = 32n << 20n;

/** A running probe: the directory it works in, and its notes. */
export interface Probing {
  readonly host: ProbeHost;
  readonly store: RootStore;
  readonly notes: Notes;
  readonly at: (name: string) => string;
}

/** Makes a file with one text in each of its first sectors. */
export async function makeFile(
  { host, store }: Probing,
  path: string,
  ...texts: readonly string[]
): Promise<void> {
  await store.files.createSparse(path, fileBytes, 0o600);
  const file = await host.trials.open(path);
  try {
    for (const [sector, text] of texts.entries()) await file.write(sector, text);
  } finally {
    await file.close();
  }
}

/** Does something to a file while it is open for writing, then writes to it, and reads back what it wrote. */
async function whileOpen(
  { host }: Probing,
  path: string,
  sector: number,
  act: () => Promise<void>,
): Promise<void> {
  const file = await host.trials.open(path);
  try {
    await act();
    await file.write(sector, 'late');
  } finally {
    await file.close();
  }
  expectRead('what was written afterwards', await host.trials.read(path, sector), 'late');
}

/** Makes the first chain: `base` with the children `first` and `child`. False when the other trials cannot continue. */
export async function tryBasics(probing: Probing): Promise<boolean> {
  const { host, store, notes, at } = probing;
  const { clone, trials } = host;
  const cut = await notes.attempt('snap', async () => {
    await makeFile(probing, at('first'), 'one', 'two');
    await notes.timed('mmclone snap', () => clone.snap(at('first'), at('base')));
    expectRead('the parent', await trials.read(at('base'), 0), 'one');
    expectRead('the child', await trials.read(at('first'), 1), 'two');
  });
  if (!cut) return false;
  await notes.attempt('show', async () => {
    const parent = await notes.timed('mmclone show', () => clone.show(at('base')));
    const child = await clone.show(at('first'));
    expectRead('the parent', parent.kind, 'parent');
    const { inode } = await store.files.stat(at('base'));
    expectRead('the clone', child.kind === 'clone' && child.parentInode, inode);
  });
  return notes.attempt('copy', async () => {
    await notes.timed('mmclone copy', () => clone.copy(at('base'), at('child')));
    expectRead('the copy', await trials.read(at('child'), 1), 'two');
  });
}

/** Tries what may be done to a parent that has children. Resolves to its path afterwards. */
export async function tryParent({ host, store, notes, at }: Probing): Promise<string> {
  await notes.attempt('linkCount', async () => {
    expectRead('the link count', (await store.files.stat(at('base'))).links, 3);
  });
  await notes.attempt('writeParent', async () => {
    const file = await host.trials.open(at('base'));
    try {
      await file.write(0, 'one');
    } finally {
      await file.close();
    }
  });
  await notes.attempt('chmodParent', () => store.files.chmod(at('base'), 0o640));
  const moved = await notes.attempt('renameParent', async () => {
    await store.files.rename(at('base'), at('moved'));
    expectRead('a child of it', await host.trials.read(at('child'), 0), 'one');
  });
  const parent = at(moved ? 'moved' : 'base');
  await notes.attempt('removeParent', async () => {
    await store.files.unlink(parent);
    // rm -f reports no error where GPFS refuses: only the name shows it.
    if (await isThere(store, parent)) throw new Contradiction('it is still there');
  });
  return parent;
}

/** Tries what mmclone does to files that are not clones, are open, or are parents themselves. */
export async function tryRedirects(probing: Probing): Promise<void> {
  const { host, notes, at } = probing;
  const { clone, trials } = host;
  await notes.attempt('redirectPlain', async () => {
    await makeFile(probing, at('plain'), 'plain');
    await clone.redirect(at('plain'));
  });
  await notes.attempt('splitPlain', () => clone.split(at('plain')));
  const cut = await notes.attempt('snapOpen', async () => {
    await whileOpen(probing, at('child'), 2, () => clone.snap(at('child'), at('middle')));
    expectRead('the parent, of what came later', await trials.read(at('middle'), 2), '');
  });
  // Where GPFS refuses an open file, a closed one makes the chain for the other trials.
  if (!cut) await clone.snap(at('child'), at('middle')).catch(() => undefined);
  await notes.attempt('redirectParent', async () => {
    await clone.redirect(at('middle'));
    expectRead('its child', await trials.read(at('child'), 0), 'one');
  });
  await notes.attempt('redirectOpen', async () => {
    await whileOpen(probing, at('child'), 3, () =>
      notes.timed('mmclone redirect', () => clone.redirect(at('child'))),
    );
    expectRead('the redirected file', await trials.read(at('child'), 0), 'one');
  });
}
