import type { Metrics } from '../../observe/metrics.ts';
import { accountKeeper } from '../../service/forest/accounts.ts';
import { registerAccountMetrics } from '../../service/forest/metrics.ts';
import type { ServiceHost } from '../../service/host.ts';
import { every, type Rounds } from './periodic.ts';

/** How often it is looked whether a count is due. */
const lookMs = 60_000;

/** So many files leave some MiB behind. */
const manyFiles = 10_000;

/** Counts the roots in the background and shows that as metrics, until it is stopped. */
export function startAccounting(host: ServiceHost, metrics: Metrics): Pick<Rounds, 'stop'> {
  const accounts = accountKeeper(host);
  const stopping = new AbortController();
  registerAccountMetrics(metrics, accounts);
  const rounds = every(lookMs, host.log, 'accounts', async () => {
    const looked = accounts.refresh(stopping.signal);
    const files = await looked.catch((error: unknown) => {
      if (stopping.signal.aborted) return 0;
      throw error;
    });
    if (files > manyFiles) releaseMemory();
  });
  return {
    stop: async () => {
      stopping.abort();
      await rounds.stop();
    },
  };
}

/**
 * Gives memory back to the system after work that needed much. An idle heap never grows enough to be collected
 * by itself. The image runs Node with --expose-gc; elsewhere nothing happens.
 */
export function releaseMemory(): void {
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
