import { showBytes } from '../model/bytes.ts';
import { messageOf } from '../model/fault.ts';
import { publicId, type RootId } from '../model/ids.ts';
import { showName } from '../model/kubernetes.ts';
import { currentContext, hidden, noteInContext } from '../observe/context.ts';
import type { Clock } from '../run/clock.ts';
import type { Claim } from './schema/claim.ts';
import { longestWhy, mostEntries, type HistoryEntry } from './schema/history.ts';
import type { SnapshotRecord } from './schema/parents.ts';
import type { Attachment, VolumeRecord } from './schema/volume.ts';

/** Records that keep their last operations. */
type Kept = VolumeRecord | SnapshotRecord;

/** What an entry says besides the two versions that it is read from. */
interface Facts {
  readonly nowMs: number;
  /** The node of this server; empty in a command. */
  readonly node: string;
  /** Why the work under a claim failed, where this process knows it. */
  readonly why: (claim: Claim) => string | undefined;
}

/** The history of the records of one root, as this process writes it. */
export interface History {
  /** The same record with an entry for each operation that ends with this version. */
  append<T extends Kept>(before: T | undefined, after: T): T;
  /** Keeps why work under a claim failed, until its end or its release is written. */
  failing(claim: Claim, error: unknown): void;
}

/** Reasons that are kept at once: each is written a moment later, so only that of a lost race stays. */
const mostReasons = 100;

/** `own` names the node of this server once it has registered. */
export function historyOf(clock: Clock, own: { readonly node: string | undefined }): History {
  const reasons = new Map<string, string>();
  return {
    append: (before, after) =>
      withHistory(before, after, {
        nowMs: clock.now(),
        node: own.node ?? '',
        why: ({ nonce }) => reasons.get(nonce),
      }),
    failing: ({ nonce }, error) => {
      const [oldest] = reasons.keys();
      if (reasons.size >= mostReasons && oldest !== undefined) reasons.delete(oldest);
      reasons.set(nonce, hidden(messageOf(error)).slice(0, longestWhy));
    },
  };
}

/**
 * Compares a record before and after a write, so that no operation can be forgotten. An object that takes the id of a
 * deleted one begins its own history; one that moved here brings its own.
 */
function withHistory<T extends Kept>(before: T | undefined, after: T, facts: Facts): T {
  const isNew = before === undefined || before.state === 'deleted';
  const earlier = (isNew ? after.history : before.history) ?? [];
  const added = isNew ? ofNew(after, facts) : entries(before, after, facts);
  if (added.length === 0 && earlier === after.history) return after;
  return { ...after, history: [...earlier, ...added].slice(-mostEntries) };
}

/** What came without an operation: an image that was adopted, or a record that a repair wrote again. */
const ofNew = (after: Kept, { nowMs, node }: Facts): readonly HistoryEntry[] =>
  after.claim === null && after.state === 'ready'
    ? [{ what: 'record', atMs: nowMs, tookMs: 0, node, outcome: 'done' }]
    : [];

function entries(before: Kept, after: Kept, facts: Facts): readonly HistoryEntry[] {
  const ofVolume =
    isVolume(before) && isVolume(after)
      ? [...ofClaim(before, after, 'retype', facts), ...ofUse(before, after, facts)]
      : [];
  return [...ofClaim(before, after, 'claim', facts), ...ofVolume, ...ofNone(before, after, facts)];
}

const isVolume = (record: Kept): record is VolumeRecord => 'attachments' in record;

/** The operations that are under way on a record, as entries without an end. A claim that was released has its entry. */
export const underWay = (record: Kept, nowMs: number): readonly HistoryEntry[] =>
  [claimIn(record, 'claim'), claimIn(record, 'retype')].flatMap((claim) =>
    claim && !claim.released ? [entryOf(claim, record, { nowMs, outcome: 'running' })] : [],
  );

/** The end of an operation, or its change of hands. */
function ofClaim(
  before: Kept,
  after: Kept,
  field: 'claim' | 'retype',
  facts: Facts,
): readonly HistoryEntry[] {
  const was = claimIn(before, field);
  const is = claimIn(after, field);
  return was && hasEnded(was, is) ? [ended(before, after, { was, is, facts })] : [];
}

/** A release has its entry; the server that takes the claim over afterwards adds none. */
function hasEnded(was: Claim, is: Claim | null): boolean {
  if (is?.nonce === was.nonce) return is.released !== was.released;
  return !is || !was.released;
}

interface ChangeOfClaim {
  readonly was: Claim;
  readonly is: Claim | null;
  readonly facts: Facts;
}

function ended(before: Kept, after: Kept, { was, is, facts }: ChangeOfClaim): HistoryEntry {
  const why = facts.why(was);
  const outcome = outcomeOf(was, is, after, why);
  return {
    ...entryOf(was, before, { nowMs: facts.nowMs, outcome }),
    ...(outcome === 'done' || why === undefined ? {} : { why }),
  };
}

function entryOf(
  claim: Claim,
  record: Kept,
  { nowMs, outcome }: Pick<Facts, 'nowMs'> & Pick<HistoryEntry, 'outcome'>,
): HistoryEntry {
  const about = aboutClaim(claim, record);
  return {
    what: whatOf(claim, record),
    atMs: claim.sinceMs,
    tookMs: Math.max(0, nowMs - claim.sinceMs),
    node: claim.node,
    outcome,
    ...(about === undefined ? {} : { about }),
  };
}

const claimIn = (record: Kept, field: 'claim' | 'retype'): Claim | null => {
  if (field === 'claim') return record.claim;
  return isVolume(record) ? record.retype : null;
};

function outcomeOf(was: Claim, is: Claim | null, after: Kept, why: string | undefined): string {
  if (is) return is.nonce === was.nonce ? 'released' : 'taken over';
  const { reached, otherwise } = ends[was.op];
  return reached({ was, after, why }) ? 'done' : otherwise;
}

interface Ended {
  readonly was: Claim;
  readonly after: Kept;
  readonly why: string | undefined;
}

interface End {
  /** Whether the record shows what the operation was for. */
  readonly reached: (ended: Ended) => boolean;
  readonly otherwise: 'undone' | 'failed';
}

const isCut: End = {
  reached: ({ was, after }) => after.parent === was.parent,
  otherwise: 'undone',
};

const ends: Readonly<Record<Claim['op'], End>> = {
  create: { reached: ({ after }) => after.state === 'ready', otherwise: 'undone' },
  snapshot: isCut,
  clone: isCut,
  fence: {
    reached: ({ was, after }) => isVolume(after) && after.image?.key === was.image,
    otherwise: 'undone',
  },
  expand: {
    reached: ({ was, after }) => after.bytes >= (was.bytes ?? after.bytes),
    otherwise: 'failed',
  },
  delete: { reached: ({ after }) => after.state === 'deleted', otherwise: 'failed' },
  compact: {
    reached: ({ was, after }) => after.parent === (was.to ?? null),
    otherwise: 'failed',
  },
  // The record may have had these attributes before.
  modify: { reached: ({ why }) => why === undefined, otherwise: 'failed' },
};

/** The operation in the words of people. */
function whatOf({ op, movedTo }: Claim, before: Kept): string {
  if (movedTo !== undefined) return 'move';
  if (op !== 'create') return op;
  if (isVolume(before)) return before.handle === undefined ? 'create' : 'move';
  return before.golden ? 'import' : 'snapshot';
}

function aboutClaim({ op, movedTo, snapshot, bytes }: Claim, after: Kept): string | undefined {
  if (movedTo !== undefined) return movedTo;
  if (op === 'expand' && bytes !== undefined) return showBytes(bytes);
  if (op === 'create') return showBytes(after.bytes);
  return snapshot;
}

/** Attachments and the file system of a volume, which change without a claim. */
function ofUse(
  before: VolumeRecord,
  after: VolumeRecord,
  { nowMs, node }: Facts,
): readonly HistoryEntry[] {
  const had = usable(before);
  const has = usable(after);
  const entry = (what: string, about: string, sinceMs = nowMs): HistoryEntry => ({
    what,
    atMs: sinceMs,
    tookMs: Math.max(0, nowMs - sinceMs),
    node,
    outcome: 'done',
    about,
  });
  const { content } = after;
  const formatted =
    content.kind === 'filesystem' && before.content.kind === 'formatting' ? [content.fsType] : [];
  return [
    ...without(had, has).map((each) => entry('detach', each.node)),
    ...without(has, had).map((each) => entry('attach', each.node, each.sinceMs)),
    ...formatted.map((fsType) => entry('format', fsType)),
  ];
}

/** An attachment that waits for a fence is none yet. */
const usable = ({ attachments }: VolumeRecord): readonly Attachment[] =>
  attachments.filter(({ state }) => state !== 'fencing');

const without = (some: readonly Attachment[], others: readonly Attachment[]) =>
  some.filter(({ node }) => !others.some((other) => other.node === node));

/** What changes without an operation: a repair, or a snapshot of a group that is taken back. */
function ofNone(before: Kept, after: Kept, { nowMs, node }: Facts): readonly HistoryEntry[] {
  if (before.claim ?? after.claim) return [];
  const entry = (what: string) => [{ what, atMs: nowMs, tookMs: 0, node, outcome: 'done' }];
  if (after.state !== before.state) return entry(after.state === 'deleted' ? 'delete' : 'repair');
  return after.parent !== before.parent || after.bytes !== before.bytes ? entry('repair') : [];
}

/** Gives the lines of a request the name that Kubernetes has for its object, once the record of that is read. */
export const namesRequest =
  (root: RootId) =>
  ({ id, handle, kubernetes }: Pick<VolumeRecord, 'id' | 'handle' | 'kubernetes'>): void => {
    const { volumeId: asked, kubernetes: given } = currentContext();
    // A snapshot that is taken has its own name, and not that of its volume.
    if (!kubernetes || asked === undefined || given !== undefined) return;
    if ([handle, publicId(root, id)].includes(asked))
      noteInContext({ kubernetes: showName(kubernetes) });
  };
