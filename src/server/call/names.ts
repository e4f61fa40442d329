import { kubernetesNameIn, showName } from '../../model/kubernetes.ts';
import type { RequestContext } from '../../observe/context.ts';

/** Longer than any handle of the driver. */
const longestId = 256;

/** What a message says of the object that its request is about, before it is decoded. */
export function namesIn(message: unknown): RequestContext {
  if (typeof message !== 'object' || message === null) return {};
  const fields: Partial<Record<string, unknown>> = { ...message };
  const volumeId = [fields['volume_id'], fields['snapshot_id'], fields['source_volume_id']].find(
    (id): id is string => typeof id === 'string' && id !== '',
  );
  const kubernetes = kubernetesIn(fields['parameters']);
  return {
    ...(volumeId === undefined ? {} : { volumeId: volumeId.slice(0, longestId) }),
    ...(kubernetes === undefined ? {} : { kubernetes }),
  };
}

/** The name that the sidecars give with a creation. */
function kubernetesIn(parameters: unknown): string | undefined {
  if (typeof parameters !== 'object' || parameters === null) return undefined;
  const texts = Object.entries(parameters).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  const given = new Map(texts);
  for (const kind of ['pvc', 'volumesnapshot', 'volumegroupsnapshot'] as const) {
    const name = kubernetesNameIn(given, kind);
    if (name) return showName(name);
  }
  return undefined;
}
