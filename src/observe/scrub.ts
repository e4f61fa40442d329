import { REDACTED } from './redact.ts';

/** The longest line of a text that is searched; the rest of it is left out. */
const longestLine = 16 * 1024;

/** Values shorter than this are words that stand in many places. */
const shortestSecret = 6;

const secretWord = String.raw`passw(?:or)?d|passphrase|passwd|pwd|secret|token|credential|authorization|api[_-]?key|access[_-]?key|private[_-]?key|session[_-]?key`;

const secretName = new RegExp(`${secretWord}|^mount_?flags$`, 'i');

/** Whether what stands under this name is to be hidden. */
export const isSecretName = (name: string): boolean => secretName.test(name);

// The name, up to 64 characters of it behind the word, a separator, and the value with its quotes.
const named = new RegExp(
  String.raw`((?:${secretWord})[\w.-]{0,64}\\{0,4}["']?\s{0,8}[=:]\s{0,8}|--?[\w-]{0,32}(?:${secretWord})[\w-]{0,32}\s{1,8})(\\{0,4}"[^"]{0,4096}|'[^']{0,4096}|[^\s,;&"']{1,4096})`,
  'gi',
);

const patterns: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [^-]{1,64}-----[^]*?(?:-----END [^-]{1,64}-----|$)/g, REDACTED],
  [/\b(Bearer|Basic)\s{1,8}[\w.~+/=-]{4,8192}/gi, `$1 ${REDACTED}`],
  [/\beyJ[\w-]{6,8192}\.[\w-]{1,8192}(?:\.[\w-]{0,8192})?/g, REDACTED],
  [/(:\/\/)[^\s/@:]{1,256}:[^\s/@]{1,256}@/g, `$1${REDACTED}@`],
  [named, `$1${REDACTED}`],
  [/((?:^|[\s,(])key=)[^\s,;)"']{1,4096}/g, `$1${REDACTED}`],
];

/** Takes secrets out of what a support bundle holds: by the names that they stand under, by their form, and known ones. */
export interface Scrubber {
  /** A text of lines. A line that holds JSON is read as such. */
  readonly text: (text: string) => string;
  /** A value of JSON, with its keys. */
  readonly value: (value: unknown) => unknown;
}

/** A scrubber that also hides these values wherever they stand. */
export function scrubber(secrets: readonly string[]): Scrubber {
  const known = [...new Set(secrets)]
    .filter((secret) => secret.length >= shortestSecret)
    .sort((a, b) => b.length - a.length);
  const plain = (text: string): string => {
    const hidden = known.reduce((all, secret) => all.replaceAll(secret, REDACTED), text);
    return patterns.reduce((all, [pattern, by]) => all.replace(pattern, by), hidden);
  };
  const value = (any: unknown, depth = 0): unknown => {
    if (typeof any === 'string') return plain(any);
    if (typeof any === 'bigint') return any.toString();
    if (typeof any !== 'object' || any === null) return any;
    if (depth > 32) return '[deep]';
    if (Array.isArray(any)) return any.map((each) => value(each, depth + 1));
    return Object.fromEntries(
      Object.entries(any).map(([key, item]) => [
        plain(key),
        isSecretName(key) && item !== null ? REDACTED : value(item, depth + 1),
      ]),
    );
  };
  const line = (whole: string): string => {
    const cut = whole.length > longestLine ? `${whole.slice(0, longestLine)}…` : whole;
    const at = cut.indexOf('{');
    const parsed = at < 0 ? undefined : parseObject(cut.slice(at));
    if (parsed === undefined) return plain(cut);
    return `${plain(cut.slice(0, at))}${JSON.stringify(value(parsed))}`;
  };
  return {
    value: (any) => value(any),
    // A key in PEM has several lines.
    text: (text) => plainPem(text).split('\n').map(line).join('\n'),
  };
}

const plainPem = (text: string): string =>
  text.replace(/-----BEGIN [^-]{1,64}-----[^]{0,16384}?-----END [^-]{1,64}-----/g, REDACTED);

function parseObject(text: string): object | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? parsed : undefined;
  } catch {
    return undefined;
  }
}
