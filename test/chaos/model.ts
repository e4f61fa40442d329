import { slots, type Mark } from './pattern.ts';

/** For each slot the writes that it may hold; 0 stands for zeros. */
export type Content = ReadonlyMap<number, ReadonlySet<number>>;

type Open = Map<number, Set<number>>;

/** What an operation that takes some time may have seen of a volume. */
export interface Window {
  /** All that the volume held at some moment since the window was opened. Ends the window. */
  readonly close: () => Content;
}

/** The writes of a run: which volume each was made to, and what each volume may hold. */
export interface Writes {
  /** The number of a write that begins now. */
  readonly begin: (to: Track, slot: number) => number;
  /** The volume that a write was made to. */
  readonly objectOf: (write: number) => number | undefined;
  readonly count: () => number;
}

/** What one volume may hold while it is written to. */
export class Track {
  readonly object: number;
  #content: Open;
  readonly #windows = new Set<Open>();

  constructor(object: number, content: Content = new Map()) {
    this.object = object;
    this.#content = copyOf(content);
  }

  /** A write to a slot began: the slot may hold it, or what it held before. */
  begun(slot: number, write: number): void {
    for (const each of [this.#content, ...this.#windows])
      each.set(slot, new Set([...possible(each, slot), write]));
  }

  /** A write was acknowledged: the slot holds it and nothing else. */
  done(slot: number, write: number): void {
    this.#content.set(slot, new Set([write]));
  }

  open(): Window {
    const seen = copyOf(this.#content);
    this.#windows.add(seen);
    return {
      close: () => {
        this.#windows.delete(seen);
        return seen;
      },
    };
  }

  /** The volume goes on with what another image holds, as after a fence. */
  become(content: Content): void {
    this.#content = copyOf(content);
  }

  get content(): Content {
    return this.#content;
  }
}

/** The writes of a run, none yet. */
export function newWrites(): Writes {
  const objects: number[] = [0];
  return {
    begin: (to, slot) => {
      const write = objects.push(to.object) - 1;
      to.begun(slot, write);
      return write;
    },
    objectOf: (write) => objects[write],
    count: () => objects.length - 1,
  };
}

const none: ReadonlySet<number> = new Set([0]);

/** The writes that a slot may hold. */
const possible = (content: Content, slot: number): ReadonlySet<number> => content.get(slot) ?? none;

const copyOf = (content: Content): Open =>
  new Map([...content].map(([slot, writes]) => [slot, new Set(writes)]));

/** What is wrong with a block that was read from a slot; undefined when it is one of those that may be there. */
export function wrongBlock(
  writes: Writes,
  content: Content,
  slot: number,
  seen: Mark | 'zeros' | { readonly wrong: string },
): string | undefined {
  const may = possible(content, slot);
  const wanted = [...may].map((write) => (write === 0 ? 'zeros' : `write ${write}`)).join(' or ');
  if (seen === 'zeros')
    return may.has(0) ? undefined : `slot ${slot} holds zeros instead of ${wanted}`;
  if ('wrong' in seen) return `slot ${slot} holds ${seen.wrong} instead of ${wanted}`;
  if (may.has(seen.write) && seen.slot === slot && writes.objectOf(seen.write) === seen.object)
    return undefined;
  return `slot ${slot} holds write ${seen.write} of object ${seen.object} to slot ${seen.slot} instead of ${wanted}`;
}

/** All slots of a volume, in order. */
export const allSlots: readonly number[] = Array.from({ length: slots }, (_, slot) => slot);
