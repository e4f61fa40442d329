import { AsyncLocalStorage } from 'node:async_hooks';

/** What every log line of one request carries. */
export interface RequestContext {
  readonly requestId?: string;
  readonly rpc?: string;
  /** The handle of the volume or snapshot that the request is about. */
  readonly volumeId?: string;
  /** What Kubernetes calls it: NAMESPACE/NAME of the claim or the snapshot. */
  readonly kubernetes?: string;
}

const storage = new AsyncLocalStorage<RequestContext>();

/** Runs work with these facts added to those of the current request. */
export const inContext = <Result>(facts: RequestContext, work: () => Result): Result =>
  storage.run({ ...storage.getStore(), ...facts }, work);

/** Adds facts that were found out since to those of the current request; does nothing outside of one. */
export function noteInContext(facts: RequestContext): void {
  const current = storage.getStore();
  if (current) Object.assign(current, facts);
}

/** The facts of the current request; empty outside of one. */
export const currentContext = (): RequestContext => storage.getStore() ?? {};

const hiding = new AsyncLocalStorage<(text: string) => string>();

/** Runs work that knows how to take the secrets of its request out of a text. */
export const withHiding = <Result>(hide: (text: string) => string, work: () => Result): Result =>
  hiding.run(hide, work);

/** The text without the secrets of the current request. */
export const hidden = (text: string): string => hiding.getStore()?.(text) ?? text;
