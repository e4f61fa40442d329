import { isMultiNode, type Capability } from '../../model/capability.ts';
import { isDeadMark, isSameMachine } from '../../store/marks.ts';
import type { RootStore } from '../../store/root.ts';
import type { NodeFile } from '../../store/schema/root.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { imageOf } from '../claims/data-files.ts';

/**
 * Nodes that use a volume's image, or may use it: it is attached to them, or they left a mark and have not booted
 * since.
 */
export async function usersOf(
  store: RootStore,
  { attachments, image }: VolumeRecord,
): Promise<readonly string[]> {
  const marks = image ? await store.marks.of(image.key) : [];
  const alive = await Promise.all(
    marks.map(async (mark) =>
      isDeadMark(mark, await store.nodes.read(mark.node)) ? [] : [mark.node],
    ),
  );
  return [...attachments.map(({ node }) => node), ...alive.flat()];
}

/**
 * Nodes that may still write to a volume which is attached nowhere: they left a mark on its image, and are neither
 * this node nor known to have booted since. A node is its name and its machine together: a new machine with the
 * name of an old one does not vouch for the old one. Raw block volumes that several nodes share are not fenced:
 * their users coordinate themselves.
 */
export async function nodesToFence(
  store: RootStore,
  value: VolumeRecord,
  capability: Capability,
  self: NodeFile,
): Promise<readonly string[]> {
  if (capability.access.kind === 'block' && isMultiNode(capability.mode)) return [];
  if (value.attachments.length > 0) return [];
  const found: string[] = [];
  for (const mark of await store.marks.of(imageOf(value).key)) {
    if (isSameMachine(mark, self)) continue;
    if (!isDeadMark(mark, await store.nodes.read(mark.node))) found.push(mark.node);
  }
  return found;
}
