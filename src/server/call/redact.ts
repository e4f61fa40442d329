import { parameterKeys } from '../../model/class/parameter-keys.ts';
import { CommandFailed } from '../../run/run.ts';

const hidden = '***';
// Far above what a valid request has; a hostile request cannot fill the log.
const longestText = 4096;
const mostItems = 100;

// Kubernetes puts the tokens of the pod's service account into the volume context under this key.
const serviceAccountTokens = 'csi.storage.k8s.io/serviceAccount.tokens';

/** A copy of a request for the log: without values of `secrets` and mount flags, and of bounded size. */
export function redacted(value: unknown): unknown {
  if (typeof value === 'string') return value.slice(0, longestText);
  if (Array.isArray(value)) return value.slice(0, mostItems).map(redacted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, mostItems)
      .map(([key, item]: [string, unknown]) => [key, loggable(key, item)]),
  );
}

function loggable(key: string, item: unknown): unknown {
  if (isHidden(key)) return masked(item);
  return openMaps.has(key) && typeof item === 'object' && item !== null
    ? known(item)
    : redacted(item);
}

/** Maps whose keys anybody chooses: a class, an administrator or a program above the driver. */
const openMaps = new Set(['parameters', 'mutable_parameters', 'volume_context', 'publish_context']);

/** What Kubernetes and the driver put there: names, and nothing secret. */
const knownKeys = new Set([
  ...Object.keys(parameterKeys),
  ...[
    'pvc/name',
    'pvc/namespace',
    'pv/name',
    'fstype',
    'ephemeral',
    'pod.name',
    'pod.namespace',
    'pod.uid',
    'serviceAccount.name',
    'volumesnapshot/name',
    'volumesnapshot/namespace',
    'volumesnapshotcontent/name',
  ].map((key) => `csi.storage.k8s.io/${key}`),
  'storage.kubernetes.io/csiProvisionerIdentity',
  'generation',
]);

const plainValue = /^[\w.:/@+,= -]{0,253}$/;

/** Values of known keys that look like such values; everything else is hidden. */
const known = (entries: object): unknown =>
  Object.fromEntries(
    Object.entries(entries)
      .slice(0, mostItems)
      .map(([key, value]: [string, unknown]) => [
        key.slice(0, longestText),
        knownKeys.has(key) && typeof value === 'string' && plainValue.test(value) ? value : hidden,
      ]),
  );

const isHidden = (key: string) =>
  key === 'secrets' || key === 'mount_flags' || key === serviceAccountTokens;

function masked(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, mostItems).map(() => hidden);
  if (typeof value !== 'object' || value === null) return hidden;
  return Object.fromEntries(
    Object.keys(value)
      .slice(0, mostItems)
      .map((key) => [key, hidden]),
  );
}

/** What of a request must not be repeated: `secrets` nowhere, `flags` not in the log. */
export interface Sensitive {
  readonly secrets: readonly string[];
  readonly flags: readonly string[];
}

/** Collects what `redacted` hides, so that it can be removed from errors that quote it. */
export function sensitiveIn(request: unknown): Sensitive {
  const secrets: string[] = [];
  const flags: string[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, item] of Object.entries(value) as [string, unknown][]) {
      if (key === 'mount_flags') flags.push(...textsIn(item));
      else if (isHidden(key)) secrets.push(...textsIn(item));
      else visit(item);
    }
  };
  visit(request);
  return { secrets, flags };
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return value === '' ? [] : [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(textsIn);
}

/**
 * The text without secrets, as a caller may read it. In one pass, and the longest first: a secret may be a part of
 * another one, of which the rest must not stay, or of what replaces it.
 */
export const withoutSecrets = (text: string, { secrets }: Sensitive): string =>
  replaced(text, secrets, (any) => any);

/** The text without secrets and mount flags, as the log may have it. */
export function fitForLog(text: string, sensitive: Sensitive): string {
  // A flag as short as `ro` is hidden only where it is a word, not inside other words.
  return replaced(
    withoutSecrets(text, sensitive),
    sensitive.flags,
    (any) => `(?<![A-Za-z0-9_])${any}(?![A-Za-z0-9_])`,
  );
}

function replaced(text: string, words: readonly string[], within: (any: string) => string): string {
  // A request may have thousands, and a message few.
  const there = [...new Set(words)].filter((word) => text.includes(word));
  if (there.length === 0) return text;
  const longestFirst = there.sort((a, b) => b.length - a.length);
  const any = longestFirst.map((word) => word.replace(/[^A-Za-z0-9]/gu, escaped)).join('|');
  return text.replace(new RegExp(within(`(?:${any})`), 'gu'), hidden);
}

/** A character that may mean something in a pattern, as itself. */
const escaped = (character: string): string =>
  `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;

const deepestCause = 8;

/** An error and its causes, in words for the log; with stacks where the error is a defect of the driver. */
export function errorText(
  error: unknown,
  { withStack }: { readonly withStack: boolean },
  depth = 0,
): string {
  if (!(error instanceof Error)) return typeof error === 'string' ? error : `threw ${typeof error}`;
  const own = withStack ? (error.stack ?? error.message) : error.message;
  if (error.cause === undefined || depth === deepestCause) return own + outputOf(error);
  return `${own}${outputOf(error)}; because ${errorText(error.cause, { withStack }, depth + 1)}`;
}

const outputOf = (error: Error): string =>
  error instanceof CommandFailed ? ` (stderr: ${error.stderr.trim().slice(0, longestText)})` : '';
