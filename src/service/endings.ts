import { endFence, isCut } from './attachments/cut-off.ts';
import { giveWay } from './compaction/give-way.ts';
import { headWith, volumeHead } from './compaction/heads.ts';
import { asDeleted, endClaim } from './claims/own-claim.ts';
import { endImport, finishSnapshotRemoval } from './snapshots/remove.ts';
import { finishVolumeRemoval } from './volumes/remove.ts';
import { endGrowing } from './volumes/expand.ts';
import type { Endings, VolumeEnding } from './host.ts';
import { undoVolume } from './volumes/undo-create.ts';
import { endCut } from './parents/cut.ts';
import type { Claim } from '../store/schema/claim.ts';

const cut: VolumeEnding = {
  end: (host, store, held) => endCut(host, store, held, { unchanged: held.value.unchanged }),
};

const ofVolumes = {
  create: { end: undoVolume },
  snapshot: cut,
  clone: cut,
  // A fence that has cut its parent is resumed from there by the next request.
  fence: { end: endFence, stays: isCut },
  expand: { end: (_host, store, held) => endGrowing(store, held) },
  delete: { end: finishVolumeRemoval, stays: () => Promise.resolve(true) },
  compact: {
    end: (_host, _store, { id }) =>
      Promise.reject(
        new Error(`the compaction of volume ${id} is ended by the server that began it`),
      ),
  },
  // A modification is kept beside the claim (`retype`), never in its place.
  modify: { end: (_host, store, held) => endClaim(store, held, () => ({})) },
} satisfies Record<Claim['op'], VolumeEnding>;

/** How every operation ends: the second table beside the one of status codes in src/server. */
export const endings: Endings = {
  volume: ofVolumes,
  snapshot: {
    delete: finishSnapshotRemoval,
    import: endImport,
    snapshot: (host, store, held) =>
      store.snapshots.swap(held.id, held, asDeleted(host, held.value), 'name'),
  },
  giveWay: {
    volume: (host, store, held) =>
      giveWay(host, store, {
        records: store.volumes,
        held,
        headOf: () => volumeHead(store, held.value.id),
      }),
    snapshot: async (host, store, held) => {
      const { file } = held.value;
      if (!file) return;
      const headOf = () => headWith(store, file.key);
      await giveWay(host, store, { records: store.snapshots, held, headOf });
    },
  },
};
