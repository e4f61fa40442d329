import type { Metrics } from '../../observe/metrics.ts';
import { localIdOf } from '../../model/ids.ts';
import type { ServiceHost } from '../../service/host.ts';
import { inEachRoot } from '../../service/roots/roots.ts';
import type { Config } from '../command/config.ts';
import { every, type Rounds } from './periodic.ts';

/** How often the roots of this node are looked at for the figures. */
const lookMs = 60_000;

/** How long a root counts as usable after it was; longer than two looks, so that a slow one is no alarm. */
const usableMs = 3 * lookMs;

/** What was found when a root could be used last. */
interface Seen {
  readonly atMs: number;
  readonly attached: number;
}

/**
 * Shows what this server is, which roots its node can use, and how many volumes it has attached, until it is stopped.
 * A look that hangs with GPFS changes nothing, so the root counts as unusable some minutes later.
 */
export function startNodeFigures(
  { roots, self, clock, log }: Pick<ServiceHost, 'roots' | 'self' | 'clock' | 'log'>,
  { driverName, maxVolumesPerNode }: Pick<Config, 'driverName' | 'maxVolumesPerNode'>,
  metrics: Metrics,
): Pick<Rounds, 'stop'> {
  const seen = new Map<string, Seen>();
  const { version } = self;
  metrics.gauges('gpfs_csi_build_info', 'Always 1; what this driver is.', () => [
    { labels: { version, driver: driverName, nodejs: process.versions.node }, value: 1 },
  ]);
  const isUsable = (root: string): boolean =>
    clock.now() - (seen.get(root)?.atMs ?? -Infinity) < usableMs;
  metrics.gauges('gpfs_csi_root_usable', 'Whether this node can use the root: 1, or 0.', () =>
    roots.paths.map((root) => ({ labels: { root }, value: Number(isUsable(root)) })),
  );
  metrics.gauges('gpfs_csi_attached_volumes', 'Volumes that are attached to this node.', () =>
    [...seen].flatMap(([root, { attached }]) =>
      isUsable(root) ? [{ labels: { root }, value: attached }] : [],
    ),
  );
  metrics.gauge(
    'gpfs_csi_attached_volumes_limit',
    'Volumes of one root that may be attached to this node.',
    () => maxVolumesPerNode,
  );
  const look = () =>
    inEachRoot({ roots }, async (store) => {
      await store.requireUsable();
      const attached = (await store.attached.of(localIdOf(self.node))).length;
      seen.set(store.layout.root, { atMs: clock.now(), attached });
    });
  return every({ ms: lookMs, log, what: 'figures of this node', atOnce: true }, () =>
    // The check of readiness says why a root cannot be used.
    look().catch(() => undefined),
  );
}
