import type { Bytes } from './bytes.ts';
import type { FileKey } from './ids.ts';

/** How hard compaction tries; see docs/adr/0021-compaction.md for where the defaults come from. */
export interface CompactionRule {
  /** A tombstone is absorbed where it holds at most this many times what its child holds itself. */
  readonly factor: number;
  /** And when the chain holds this share more than its largest file, which is the least its reader needs. */
  readonly deadShare: number;
  /** Tombstones that kept snapshots shield may be this many before a volume is moved past all of them. */
  readonly stuck: number;
}

export const defaultRule: CompactionRule = { factor: 2, deadShare: 0.75, stuck: 16 };

/** A clone parent above a head, as far as it matters here. */
export interface Above {
  readonly key: FileKey;
  /** No caller can name it any more: a tombstone, or the hidden parent of a clone. */
  readonly dead: boolean;
  /** What it holds itself, without what it reads through its own parents. */
  readonly heldBytes: Bytes;
  /** Its children, the one on the way to the head included. */
  readonly children: readonly Child[];
}

/** A child of a clone parent. `bytes` is its logical size. */
export interface Child {
  readonly heldBytes: Bytes;
  readonly bytes: Bytes;
}

/** A file that may be redirected, with everything above it, nearest first. */
export interface Chain {
  /** A parent cannot be moved past what its children need: only what is dead above it is absorbed. */
  readonly kind: 'volume' | 'parent';
  readonly heldBytes: Bytes;
  readonly above: readonly Above[];
  /** Its own depth may be at most this; 0: no such bound. */
  readonly maxDepth: number;
  /** More clone parents than this above a file are too many, whatever reads through them. */
  readonly deep: number;
  /** The next clone of the head shares its nearest parent: no node could have written since that was cut. */
  readonly unchanged: boolean;
  /** Clone parents below a volume can be redirected themselves, so what lies between them is not stuck. */
  readonly redirectParent: boolean;
}

/** Why a redirect is worth its copying, in words for the log. */
export type Reason =
  | 'deeper than its class allows'
  | 'past half of the greatest depth'
  | 'empty'
  | 'small'
  | 'dead share'
  | 'frees more than it copies'
  | 'stuck';

/** Redirect the head until `parent` is the file it hangs on; null for none. Undefined: leave it as it is. */
export type Verdict = { readonly until: FileKey | null; readonly reason: Reason } | undefined;

/** What to do next about one chain: pure, and decided again after each redirect. */
export function judge(chain: Chain, rule: CompactionRule): Verdict {
  const [nearest] = chain.above;
  if (!nearest) return undefined;
  return passDeep(chain, rule) ?? passEmpty(chain) ?? absorb(chain, nearest, rule);
}

function passDeep(chain: Chain, rule: CompactionRule): Verdict {
  const { above, maxDepth, deep } = chain;
  if (maxDepth > 0 && above.length > maxDepth)
    return { until: above[1]?.key ?? null, reason: 'deeper than its class allows' };
  if (above.length <= deep) return undefined;
  return { until: passSmall(chain, rule), reason: 'past half of the greatest depth' };
}

function passEmpty(chain: Chain): Verdict {
  const empty = emptyFromNearest(chain);
  if (empty <= (chain.unchanged ? 1 : 0)) return undefined;
  return { until: chain.above[empty]?.key ?? null, reason: 'empty' };
}

function absorb(chain: Chain, nearest: Above, rule: CompactionRule): Verdict {
  const reason = whyAbsorb(chain, nearest, rule);
  if (reason !== undefined) return { until: chain.above[1]?.key ?? null, reason };
  return chain.kind === 'volume' ? passStuck(chain, rule) : undefined;
}

/** How many parents from the nearest on hold nothing: to go past one copies nothing, whatever else needs it. */
function emptyFromNearest({ above }: Chain): number {
  const end = above.findIndex(({ heldBytes }) => heldBytes > 0n);
  return end < 0 ? above.length : end;
}

/**
 * Past all parents that are small against what the head would hold by then, at least past one. Others may read
 * through them still, so their blocks are copied: each a few times over many cuts, as levels of different size are
 * merged.
 */
function passSmall({ heldBytes, above }: Chain, { factor }: CompactionRule): FileKey | null {
  let held = heldBytes;
  const end = above.findIndex((each, at) => {
    const small = within(each.heldBytes, factor, held);
    held += each.heldBytes;
    return at > 0 && !small;
  });
  return above[end]?.key ?? null;
}

function whyAbsorb(chain: Chain, nearest: Above, rule: CompactionRule): Reason | undefined {
  if (!nearest.dead) return undefined;
  if (nearest.children.length > 1)
    return surelyCopied(nearest) < nearest.heldBytes ? 'frees more than it copies' : undefined;
  if (within(nearest.heldBytes, rule.factor, chain.heldBytes)) return 'small';
  const run = chain.above.slice(0, lengthOfRun(chain.above)).map(({ heldBytes }) => heldBytes);
  const all = [chain.heldBytes, ...run];
  return within(sum(all), 1 + rule.deadShare, largest(all)) ? undefined : 'dead share';
}

/** How many parents from the nearest on are dead and have one child: what the head alone reads through. */
function lengthOfRun(above: readonly Above[]): number {
  const end = above.findIndex((each) => !isAlone(each));
  return end < 0 ? above.length : end;
}

const isAlone = ({ dead, children }: Above): boolean => dead && children.length === 1;

/**
 * The most that redirecting every child of a parent could copy. What parent and child hold together beyond the
 * size of the child lies at the same places in both, and is not copied.
 */
const surelyCopied = ({ heldBytes, children }: Above): Bytes =>
  sum(
    children.map((child) => {
      const overlap = heldBytes + child.heldBytes - child.bytes;
      return overlap > 0n ? heldBytes - overlap : heldBytes;
    }),
  );

/**
 * Tombstones behind a kept snapshot cannot be absorbed where GPFS redirects no parents, and under a rolling
 * retention they would pile up permanently. So when there are many, or they hold much, the volume is moved past
 * all of them that are small against what it holds by then; as the kept snapshots go, the whole stretch goes.
 */
function passStuck(chain: Chain, rule: CompactionRule): Verdict {
  const isStuck = (each: Above) => each.dead && !(chain.redirectParent && isAlone(each));
  const small = passable(chain, rule);
  const stuck = small.filter(isStuck);
  const most = largest([chain.heldBytes, ...chain.above.map(({ heldBytes }) => heldBytes)]);
  const heavy = !within(sum(stuck.map(({ heldBytes }) => heldBytes)), rule.deadShare, most);
  if (stuck.length < rule.stuck && !heavy) return undefined;
  const last = small.findLastIndex(isStuck);
  return { until: chain.above[last + 1]?.key ?? null, reason: 'stuck' };
}

/**
 * Parents from the nearest on, up to the first that others read through as well, who would keep it, or that is
 * large against all that the head would hold by then.
 */
function passable({ heldBytes, above }: Chain, { factor }: CompactionRule): readonly Above[] {
  let held = heldBytes;
  const end = above.findIndex((each) => {
    const small = within(each.heldBytes, factor, held) || !each.dead;
    held += each.heldBytes;
    return !small || each.children.length > 1;
  });
  return end < 0 ? above : above.slice(0, end);
}

/** `part` is at most `factor` times `whole`, in integers: sizes are beyond what a float counts exactly. */
const within = (part: Bytes, factor: number, whole: Bytes): boolean =>
  part * 1000n <= whole * BigInt(Math.round(factor * 1000));

const sum = (all: readonly Bytes[]): Bytes => all.reduce((total, each) => total + each, 0n);
const largest = (all: readonly Bytes[]): Bytes =>
  all.reduce((most, each) => (each > most ? each : most), 0n);
