import { showBytes, type Bytes } from '../bytes.ts';
import type { AuditData, RecordFact } from './facts.ts';

/** What a record for a file that none knows would say. */
export interface Rebuilt {
  readonly key: string;
  readonly data: AuditData;
  readonly inode: bigint;
  readonly bytes: Bytes;
  readonly parent: string | null;
}

/** One step that repairs a root. None of them removes data. */
export type Repair =
  | { readonly do: 'set aside'; readonly path: string; readonly why: string }
  | { readonly do: 'add edge'; readonly parent: string; readonly child: string }
  | { readonly do: 'make volume'; readonly id: string; readonly file: Rebuilt }
  | {
      readonly do: 'make snapshot';
      readonly id: string;
      readonly file: Rebuilt;
      /** The one volume that reads through it; undefined where there are several or none. */
      readonly volume: string | undefined;
    }
  | { readonly do: 'make clone parent'; readonly file: Rebuilt }
  | {
      readonly do: 'correct parent';
      readonly kind: Exclude<RecordFact['kind'], 'group'>;
      readonly id: string;
      readonly key: string;
      readonly parent: string | null;
    }
  | {
      readonly do: 'correct size';
      readonly kind: Exclude<RecordFact['kind'], 'group'>;
      readonly id: string;
      readonly key: string;
      readonly bytes: Bytes;
    }
  | { readonly do: 'drop edge'; readonly parent: string; readonly child: string }
  | { readonly do: 'drop mark'; readonly image: string; readonly node: string }
  /** Something that no rule decides: it is reported and left as it is. */
  | { readonly do: 'leave'; readonly object: string; readonly why: string };

/** What a repair did, as a sentence. */
export function describeRepair(repair: Repair): string {
  switch (repair.do) {
    case 'set aside':
      return `set ${repair.path} aside: ${repair.why}`;
    case 'add edge':
      return `noted that ${repair.child} reads through ${repair.parent}`;
    case 'make volume':
      return `made a record for volume ${repair.id}: image ${repair.file.key}, parent ${repair.file.parent ?? 'none'}; what it holds, its class and its attachments are not known, so it is never formatted, and must be attached again`;
    case 'make snapshot':
      return `made a record for snapshot ${repair.id}: file ${repair.file.key}, of ${repair.volume === undefined ? 'a volume that is not known' : `volume ${repair.volume} as it seems`}; it may have been deleted before, then delete it again`;
    case 'make clone parent':
      return `made a record for clone parent ${repair.file.key}`;
    case 'correct parent':
      return `corrected the parent of ${repair.kind} ${repair.id} to ${repair.parent ?? 'none'}`;
    case 'correct size':
      return `corrected the size of ${repair.kind} ${repair.id} to ${showBytes(repair.bytes)}, which its file has`;
    case 'drop edge':
      return `dropped the edge ${repair.parent} > ${repair.child}`;
    case 'drop mark':
      return `dropped the mark of node ${repair.node} on ${repair.image}`;
    case 'leave':
      return `left ${repair.object}: ${repair.why}`;
  }
}
