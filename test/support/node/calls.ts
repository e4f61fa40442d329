// What a victim and the tests that kill it share. Nothing here imports vitest, so a victim starts fast.
import { join } from 'node:path';
import type { LocalId, RootId } from '../../../src/model/ids.ts';
import { randomNonce, systemClock } from '../../../src/run/clock.ts';
import type { Files } from '../../../src/run/files.ts';
import { hostMounts } from '../../../src/run/host-files.ts';
import type { NodeVolumes, StageAsk } from '../../../src/service/api.ts';
import type { NodeRoots } from '../../../src/service/node/host.ts';
import { openExistingRoot, type RootStore } from '../../../src/store/root.ts';

/** The only root of a ground, through these files: a process that dies may leave the root half changed too. */
export function rootsIn(
  directory: string,
  rootId: RootId,
  files: Files,
  mountType = 'xfs',
): NodeRoots {
  const mounts = hostMounts();
  const host = { files, mounts, clock: systemClock, nonce: randomNonce, mountType };
  let opened: Promise<RootStore> | undefined;
  return {
    byId: async (id) => {
      if (!id.startsWith(`${rootId}.`)) return undefined;
      opened ??= openExistingRoot(join(directory, 'shared', 'root'), undefined, host);
      return { store: await opened, local: id.slice(rootId.length + 1) as LocalId };
    },
  };
}

/** The node's calls that use a volume, in the order of its life there. */
export const calls = ['stage', 'publish', 'expand', 'stats', 'unpublish', 'unstage'] as const;
export type Call = (typeof calls)[number];

/** What a call on the node needs to know of the volume. */
export interface Used {
  readonly ask: StageAsk;
  readonly target: string;
  readonly readonly: boolean;
}

/** One call. An `expand` that leaves the growing to the next stage counts as a success. */
export async function make(node: NodeVolumes, call: Call, used: Used): Promise<void> {
  const { ask, target, readonly } = used;
  switch (call) {
    case 'stage':
      return node.stage(ask);
    case 'publish':
      return node.publish({ ...ask, targetPath: target, readonly });
    case 'expand':
      await node.expand(ask.id, target, undefined).catch((error: unknown) => {
        if (!String(error).includes('grown when the volume is staged next')) throw error;
      });
      return;
    case 'stats':
      await node.stats(ask.id, target);
      return;
    case 'unpublish':
      return node.unpublish(ask.id, target);
    case 'unstage':
      return node.unstage(ask.id, ask.stagingPath);
  }
}
