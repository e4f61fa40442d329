import type { RootStore } from '../../store/root.ts';
import { filesBelow, showFiles } from '../doctor/collect.ts';
import type { ServiceHost } from '../host.ts';

/** What lies in the quarantine of a root. */
export interface Quarantine {
  readonly files: number;
  /** Files that are clones, so that their clone parents stay; undefined where GPFS did not say. */
  readonly pinning: number | undefined;
}

/** The same with the names it is for, and when GPFS was asked. */
export interface QuarantineLook extends Quarantine {
  readonly names: string;
  readonly lookedMs: number;
}

/** How long what GPFS said of these files is used; only an administrator changes them. */
const keepMs = 3_600_000;

/** Files that GPFS is asked about; of more than this, some are not looked at. */
const most = 1_000;

/**
 * Looks into the quarantine. Where it is empty, as it nearly always is, this is one listing; else GPFS is asked, at
 * most once an hour or when other files are in it.
 */
export async function lookAside(
  { commands, clock, log }: Pick<ServiceHost, 'commands' | 'clock' | 'log'>,
  store: RootStore,
  before: QuarantineLook | undefined,
): Promise<QuarantineLook> {
  const paths = [...(await filesBelow(store, store.layout.quarantine))].sort();
  const names = paths.join('\n');
  const now = clock.now();
  if (before?.names === names && now - before.lookedMs < keepMs) return before;
  const shown = await showFiles(commands, paths.slice(0, most)).catch((error: unknown) => {
    log.info({ root: store.layout.root, error }, 'GPFS did not say what the quarantine keeps');
    return undefined;
  });
  const pinning = shown && [...shown.values()].filter((each) => each?.kind === 'clone').length;
  return { files: paths.length, pinning, names, lookedMs: now };
}
