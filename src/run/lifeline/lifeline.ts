import { closeSync, constants, openSync } from 'node:fs';
import { link, lstat, mkdir, open, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { randomNonce } from '../clock.ts';
import { errnoOf, undefinedWhenMissing } from '../files.ts';
import type { Run } from '../run.ts';
import { readProcess } from './processes.ts';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants;

/**
 * A fifo that one driver process holds open, and each command that it starts to change something. The kernel lets go
 * of it when the last of them has ended, whatever their parents, pid namespaces and signals: so it proves that
 * nothing of that driver process can act any more.
 */
export interface Lifeline {
  /** The open fifo, for commands to inherit. */
  readonly fd: number;
  /** The lifelines in this directory that some process still holds. Removes those that no process holds. */
  readonly others: () => Promise<OtherLifelines>;
  /** Lets go of it, as the end of this process does. */
  readonly release: () => void;
}

/** Lifelines of other driver processes of the same node, the oldest first. */
export interface OtherLifelines {
  readonly older: readonly HeldLifeline[];
  readonly newer: readonly HeldLifeline[];
}

/** A lifeline that some process holds, and the driver process that made it. */
export interface HeldLifeline {
  readonly path: string;
  readonly pid: number;
  readonly started: string;
}

/** Makes the lifeline of this process in a directory of a local file system: it is the newest there. */
export async function takeLifeline(run: Run, directory: string): Promise<Lifeline> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const draft = join(directory, `${draftPrefix}${randomNonce()}`);
  await run(['mknod', '-m', '600', draft, 'p'], 'write');
  // Open before it has its name: no other process may find it without a holder and remove it. Opened again by that
  // name, which /proc shows for the descriptors of all that inherit it.
  const first = openFifo(draft);
  try {
    const name = await nameNewest(directory, draft);
    const fd = openFifo(join(directory, name.text));
    await unlink(draft);
    return {
      fd,
      others: () => othersOf(directory, name),
      release: () => {
        closeSync(fd);
      },
    };
  } finally {
    closeSync(first);
  }
}

const openFifo = (path: string): number => openSync(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW);

const draftPrefix = 'new-';

/** The place of a lifeline among all of its directory, and the process that made it. */
interface Name {
  readonly text: string;
  readonly number: number;
  readonly pid: number;
  readonly started: string;
}

function parseName(text: string): readonly Name[] {
  const [, number = '', pid = '', started = ''] = /^(\d+)-(\d+)-(\d+)$/.exec(text) ?? [];
  return started === '' ? [] : [{ text, number: Number(number), pid: Number(pid), started }];
}

const compare = (a: Name, b: Name): number =>
  a.number - b.number || (a.text < b.text ? -1 : Number(a.text > b.text));

/**
 * Gives the draft a name that sorts after all others. Two processes may take a number at once: the one that finds a
 * later name takes another number, so each process finds every other one before it or after it.
 */
async function nameNewest(directory: string, draft: string): Promise<Name> {
  const self = await readProcess('self');
  if (!self) throw new Error('/proc does not show this process');
  for (;;) {
    const names = await namesIn(directory);
    const number = (names.at(-1)?.number ?? 0) + 1;
    const [mine] = parseName(`${number}-${self.pid}-${self.started}`);
    if (!mine) throw new Error(`/proc shows no start of process ${self.pid}`);
    await link(draft, join(directory, mine.text));
    if ((await namesIn(directory)).at(-1)?.text === mine.text) return mine;
    await unlink(join(directory, mine.text));
  }
}

const namesIn = async (directory: string): Promise<readonly Name[]> =>
  (await readdir(directory)).flatMap(parseName).sort(compare);

async function othersOf(directory: string, own: Name): Promise<OtherLifelines> {
  await sweepDrafts(directory);
  const others = { older: [] as HeldLifeline[], newer: [] as HeldLifeline[] };
  for (const name of await namesIn(directory)) {
    const path = join(directory, name.text);
    if (name.text === own.text) continue;
    if (!(await isHeld(path))) await unlink(path).catch(undefinedWhenMissing);
    else others[compare(name, own) < 0 ? 'older' : 'newer'].push({ path, ...name });
  }
  return others;
}

/** Whether some process has the fifo open for writing: reading it then finds no end, but nothing yet. */
async function isHeld(path: string): Promise<boolean> {
  const handle = await open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW).catch(undefinedWhenMissing);
  if (!handle) return false;
  try {
    return (await handle.read(Buffer.alloc(1), 0, 1, null)).bytesRead > 0;
  } catch (error) {
    if (errnoOf(error) === 'EAGAIN') return true;
    throw error;
  } finally {
    await handle.close();
  }
}

/** The age at which no process can be about to open its draft. */
const draftMs = 60_000;

async function sweepDrafts(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.startsWith(draftPrefix)) continue;
    const path = join(directory, name);
    const made = await lstat(path).catch(undefinedWhenMissing);
    if (made && Date.now() - made.ctimeMs > draftMs) await unlink(path).catch(undefinedWhenMissing);
  }
}
