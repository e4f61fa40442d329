import type { Compacting } from '../host.ts';

export function compactingOf(): Compacting {
  const running = new Map<
    string,
    { readonly stop: AbortController; readonly ended: Promise<void> }
  >();
  return {
    begin: (nonce) => {
      const stop = new AbortController();
      const { promise, resolve } = Promise.withResolvers<undefined>();
      running.set(nonce, { stop, ended: promise });
      const end = (): void => {
        running.delete(nonce);
        resolve(undefined);
      };
      return { signal: stop.signal, end };
    },
    stop: async (nonce) => {
      const found = running.get(nonce);
      if (!found) return false;
      found.stop.abort();
      await found.ended;
      return true;
    },
  };
}
