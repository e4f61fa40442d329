import { basename, dirname, join } from 'node:path';
import { localIdOf } from '../../../model/ids.ts';
import { errnoOf } from '../../../run/files.ts';
import { goneAfterMs } from '../../../store/nodes.ts';
import type { RootStore } from '../../../store/root.ts';
import { isThere, withArea, type ProbeHost } from '../area.ts';
import { waitFor, type PairResult } from './messages.ts';
import { playRedirector } from './redirector.ts';
import { playWriter } from './writer.ts';

/**
 * Two servers find out together whether one may redirect a file while the other writes to it through a loop device.
 * They meet in the probe area: one invites and becomes the writer, the other accepts and becomes the redirector.
 * This server accepts an invitation if there is one, and else invites and waits up to `waitMs`.
 */
export async function probeTwoNodes(
  host: ProbeHost,
  store: RootStore,
  waitMs = 20_000,
): Promise<PairResult> {
  const kept = await store.abilities.kept();
  if (kept?.abilities.redirectAttached !== undefined) return 'settled';
  if (!(await hasCompany(host, store))) return 'alone';
  const area = await acceptOne(host, store);
  return area === undefined ? invite(host, store, waitMs) : playRedirector(host, store, area);
}

async function hasCompany({ self, clock }: ProbeHost, store: RootStore): Promise<boolean> {
  for (const { node } of await store.nodes.all()) {
    if (node === self.node) continue;
    const { modifiedMs } = await store.files.stat(store.layout.node(localIdOf(node)));
    if (clock.now() - modifiedMs < goneAfterMs) return true;
  }
  return false;
}

/** Accepts one invitation of another server, and resolves to its area; `before`: only those with an earlier name. */
async function acceptOne(
  { self }: ProbeHost,
  store: RootStore,
  before?: string,
): Promise<string | undefined> {
  const { probe } = store.layout;
  const own = `${localIdOf(self.node)}.`;
  const names = await store.files.list(probe).catch(() => []);
  for (const name of names.filter((each) => !each.startsWith(own))) {
    const area = join(probe, name);
    const invited = await isThere(store, join(area, 'invite'));
    if (!invited || (before !== undefined && name >= before)) continue;
    if (await accept(store, area, self.node)) return area;
  }
  return undefined;
}

async function accept(store: RootStore, area: string, node: string): Promise<boolean> {
  try {
    await store.files.createDurable(join(area, 'accept'), node, 0o640);
    return true;
  } catch (error) {
    if (['EEXIST', 'ENOENT'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}

function invite(host: ProbeHost, store: RootStore, waitMs: number): Promise<PairResult> {
  return withArea(host, store, async (at) => {
    await store.files.createDurable(at('invite'), host.self.node, 0o640);
    const own = basename(dirname(at('invite')));
    let other: string | undefined;
    const met = await waitFor(host, waitMs, async () => {
      if (await isThere(store, at('accept'))) return true;
      // Where two servers invite at once, the one with the later name accepts the invitation of the other.
      other = await acceptOne(host, store, own);
      return other !== undefined;
    });
    if (other !== undefined) return playRedirector(host, store, other);
    return met ? playWriter(host, store, at) : 'alone';
  });
}
