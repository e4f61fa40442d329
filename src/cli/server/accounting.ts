import type { Metrics } from '../../observe/metrics.ts';
import { accountKeeper } from '../../service/forest/accounts.ts';
import { registerAccountMetrics, registerVolumeMetrics } from '../../service/forest/metrics.ts';
import type { ServiceHost } from '../../service/host.ts';
import { every, type Rounds } from './periodic.ts';

/** How often the server checks whether a count is due. */
const checkMs = 60_000;

/** A count of more files than this leaves some MiB behind. */
const manyFiles = 10_000;

/**
 * Counts the roots in the background and shows the result as metrics, until it is stopped; with figures of so many
 * volumes of each root.
 */
export function startAccounting(
  host: Pick<ServiceHost, 'roots' | 'self' | 'clock' | 'commands' | 'log'>,
  metrics: Metrics,
  perVolume: number,
): Pick<Rounds, 'stop'> {
  const accounts = accountKeeper(host, perVolume);
  const stopping = new AbortController();
  registerAccountMetrics(metrics, accounts);
  registerVolumeMetrics(metrics, accounts);
  const rounds = every({ ms: checkMs, log: host.log, what: 'accounts' }, async () => {
    const counted = accounts.refresh(stopping.signal);
    const files = await counted.catch((error: unknown) => {
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
 * Returns memory to the system after work that needed much: an idle heap never grows enough to be collected by
 * itself. The image runs Node with --expose-gc; elsewhere nothing happens.
 */
export function releaseMemory(): void {
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
