import type { Metrics } from '../observe/metrics.ts';
import { accountKeeper } from '../service/accounts.ts';
import { showAccounts } from '../service/gauges.ts';
import type { ServiceHost } from '../service/host.ts';
import { giveBack } from './memory.ts';
import { every } from './tending.ts';

/** How often it is looked whether a count is due. */
const lookMs = 60_000;

/** So many files leave some MiB behind. */
const manyFiles = 10_000;

/** Counts the roots in the background and shows that as metrics, until it is disposed of. */
export function startAccounting(host: ServiceHost, metrics: Metrics): Disposable {
  const accounts = accountKeeper(host);
  const stop = new AbortController();
  showAccounts(metrics, accounts);
  const { timer } = every(lookMs, host.log, 'accounts', async () => {
    const looked = accounts.refresh(stop.signal);
    const files = await looked.catch((error: unknown) => {
      if (stop.signal.aborted) return 0;
      throw error;
    });
    if (files > manyFiles) giveBack();
  });
  return {
    [Symbol.dispose]: () => {
      stop.abort();
      clearInterval(timer);
    },
  };
}
