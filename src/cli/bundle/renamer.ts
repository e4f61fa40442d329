import { createHmac } from 'node:crypto';

/** What a name belongs to; a part of what stands in its place. */
export type NameKind = 'volume' | 'snapshot' | 'group' | 'claim' | 'namespace' | 'node' | 'object';

/** Replaces names, each by the same text everywhere, so that it can still be seen what belongs together. */
export interface Renamer {
  readonly learn: (kind: NameKind, name: string) => void;
  readonly text: (text: string) => string;
  /** A value of JSON. Keys stay, and so do the words of the driver. */
  readonly value: (value: unknown) => unknown;
}

/** Fields whose values are words of the driver, never names. */
const wordFields = new Set(['state', 'kind', 'op', 'status', 'level', 'sign', 'mode', 'fsType']);

const token = /[A-Za-z0-9][\w.-]{0,511}/g;
const uuidName = /^(?:pvc|snapshot|groupsnapshot|snapcontent)-[0-9a-f]{8}-[0-9a-f-]{27}$/;

/** A renamer whose replacements depend on the salt: the same salt gives the same ones on each node. */
export function renamer(salt: string): Renamer {
  const names = new Map<string, string>();
  /** Names that are no plain words are searched one by one. */
  const odd = new Map<string, string>();
  const aliasOf = (kind: NameKind, name: string): string =>
    `${kind}-${createHmac('sha256', salt).update(name).digest('hex').slice(0, 10)}`;
  const known = (word: string): string | undefined =>
    names.get(word) ?? (uuidName.test(word) ? aliasOf('object', word) : undefined);
  const text = (whole: string): string => {
    let all = whole;
    for (const [name, alias] of odd) if (all.includes(name)) all = all.replaceAll(name, alias);
    return all.replace(token, (word) => renameIn(word, known));
  };
  const value = (any: unknown, field = ''): unknown => {
    if (typeof any === 'string') return wordFields.has(field) ? any : text(any);
    if (Array.isArray(any)) return any.map((each) => value(each, field));
    if (typeof any !== 'object' || any === null) return any;
    return Object.fromEntries(Object.entries(any).map(([key, item]) => [key, value(item, key)]));
  };
  return {
    learn: (kind, name) => {
      if (name === '') return;
      const plain = /^[A-Za-z0-9][\w.-]*$/.test(name);
      const into = plain ? names : odd;
      if (!into.has(name)) into.set(name, aliasOf(kind, name));
    },
    text,
    value: (any) => value(any),
  };
}

/** A word with the names in it replaced: as a whole, or between `.`, `-` and `_`, the longest first. */
function renameIn(word: string, known: (word: string) => string | undefined): string {
  const whole = known(word);
  if (whole !== undefined) return whole;
  const ends = [...word.matchAll(/[._-]|$/g)].map(({ index }) => index);
  const starts = [0, ...ends.map((at) => at + 1)];
  let out = '';
  let from = 0;
  for (const start of starts) {
    if (start < from || start >= word.length) continue;
    const end = ends.findLast((at) => at > start && known(word.slice(start, at)) !== undefined);
    if (end === undefined) continue;
    out += word.slice(from, start) + (known(word.slice(start, end)) ?? '');
    from = end;
  }
  return out + word.slice(from);
}
