import type { Metrics } from '../observe/metrics.ts';
import { accountKeeper } from '../service/accounts.ts';
import { showAccounts } from '../service/gauges.ts';
import type { ServiceHost } from '../service/host.ts';
import { every } from './tending.ts';

/** How often it is looked whether a count is due. */
const lookMs = 60_000;

/** Counts the roots in the background and shows that as metrics, until it is disposed of. */
export function startAccounting(host: ServiceHost, metrics: Metrics): Disposable {
  const accounts = accountKeeper(host);
  const stop = new AbortController();
  showAccounts(metrics, accounts);
  const { timer } = every(lookMs, host.log, 'accounts', async () => {
    await accounts.refresh(stop.signal).catch((error: unknown) => {
      if (!stop.signal.aborted) throw error;
    });
  });
  return {
    [Symbol.dispose]: () => {
      stop.abort();
      clearInterval(timer);
    },
  };
}
