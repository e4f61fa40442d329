import { requireSupported } from '../../model/capability.ts';
import type { Attachments } from '../api.ts';
import { readyVolume, volumeMissing } from '../claims/settle.ts';
import type { ServiceHost } from '../host.ts';
import { attach } from './attach.ts';
import { detach } from './detach.ts';
import { resumeFence } from './fence.ts';

/** Which node may use a volume: written in the volume's record, so that never two write one file system. */
export const attachmentsOf = (host: ServiceHost): Attachments => ({
  publish: (ask) => publish(host, ask),
  unpublish: (id, node) => unpublish(host, id, node),
});

type AttachAsk = Parameters<Attachments['publish']>[0];

async function publish(
  host: ServiceHost,
  ask: AttachAsk,
): Promise<Readonly<Record<string, string>>> {
  requireSupported([ask.capability], 'volume_capability');
  const place = await host.roots.byId(ask.id);
  if (!place) throw volumeMissing(ask.id);
  const { store, local } = place;
  const found = await store.volumes.read(local);
  if (found && (await resumeFence(host, store, found, ask))) return {};
  const free = found?.value.state === 'ready' && !found.value.claim;
  const held = free ? found : await readyVolume(host, store, local);
  await attach(host, store, held, ask);
  return {};
}

/** Detaches a volume; a missing one is success. */
async function unpublish(host: ServiceHost, id: string, node: string): Promise<void> {
  const place = await host.roots.byId(id);
  if (!place) return;
  const store = place.store.freeing;
  const held = await store.volumes.read(place.local);
  if (!held || held.value.state === 'deleted') return;
  await detach(host, store, held, node);
}
