/** Choices that follow from a seed: the same seed gives the same choices. */
export interface Random {
  /** A whole number from 0 to `below` - 1. */
  readonly int: (below: number) => number;
  /** True in this share of the calls. */
  readonly chance: (share: number) => boolean;
  readonly of: <T>(all: readonly [T, ...T[]]) => T;
  /** One of a list that may be empty. */
  readonly any: <T>(all: readonly T[]) => T | undefined;
  /** A name, each as often as its weight says. */
  readonly weighted: <Name extends string>(weights: Readonly<Record<Name, number>>) => Name;
}

/** A stream of choices; `name` gives each user of a seed a stream of its own. */
export function randomOf(seed: number, name: string): Random {
  const next = mulberry32(seed ^ hashOf(name));
  const int = (below: number): number => Math.floor(next() * below);
  return {
    int,
    chance: (share) => next() < share,
    of: (all) => all[int(all.length)] ?? all[0],
    any: (all) => all[int(all.length)],
    weighted: (weights) => pick(weights, next()),
  };
}

function pick<Name extends string>(weights: Readonly<Record<Name, number>>, share: number): Name {
  const names = Object.keys(weights) as Name[];
  const total = names.reduce((sum, name) => sum + weights[name], 0);
  let left = share * total;
  const found = names.find((name) => {
    left -= weights[name];
    return left < 0;
  });
  const last = found ?? names.at(-1);
  if (last === undefined) throw new Error('there is nothing to choose from');
  return last;
}

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const char of text) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193);
  return hash >>> 0;
}

/** A small generator of 32 bits of state; good enough for choices. Numbers from 0 up to 1. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
