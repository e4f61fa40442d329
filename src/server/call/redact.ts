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
      .map(([key, item]: [string, unknown]) => [
        key,
        isHidden(key) ? masked(item) : redacted(item),
      ]),
  );
}

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

/** The text without secrets, as a caller may read it. */
export const withoutSecrets = (text: string, { secrets }: Sensitive): string =>
  secrets.reduce((clean, secret) => clean.replaceAll(secret, hidden), text);

/** The text without secrets and mount flags, as the log may have it. */
export function fitForLog(text: string, sensitive: Sensitive): string {
  // A flag as short as `ro` is hidden only where it is a word, not inside other words.
  return sensitive.flags.reduce(
    (clean, flag) => clean.replaceAll(asWord(flag), hidden),
    withoutSecrets(text, sensitive),
  );
}

const asWord = (flag: string): RegExp =>
  new RegExp(`(?<![A-Za-z0-9_])${flag.replace(/[^A-Za-z0-9]/g, '\\$&')}(?![A-Za-z0-9_])`, 'g');

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
