import { showBytes } from '../bytes.ts';
import { othersOf, renamedFrom } from './doubts.ts';
import {
  isUnderWay,
  nameOf,
  type AuditFacts,
  type FileFact,
  type Finding,
  type FindingKind,
  type RecordFact,
} from './facts.ts';
import type { Graph } from './facts-graph.ts';

/** What is wrong with the file that a record names. No remedy loses data where it is followed in another case. */
export function fileFindings(
  facts: AuditFacts,
  graph: Graph,
  record: RecordFact,
): readonly Finding[] {
  if (isUnderWay(record) || !['ready', 'waiting'].includes(record.state)) return [];
  const file = graph.files.get(record.key ?? '');
  if (!file?.inPlace || file.data !== record.data) return [missing(facts, record)];
  const why = whyWrong(file, record);
  if (!why) return [];
  const [kind, says, remedy] = why;
  return [{ kind, object: record.id, says: `${nameOf(record)}: ${file.path} ${says}`, remedy }];
}

const smallestSector = 512n;

/** A loop device shows whole sectors only. */
export const isWholeDisk = ({ size }: Pick<FileFact, 'size'>): boolean =>
  size % smallestSector === 0n;

type Why = readonly [kind: FindingKind, says: string, remedy: string];

function whyWrong(file: FileFact, record: RecordFact): Why | undefined {
  if (!file.isFile)
    return [
      'not a file',
      'is not a regular file',
      'move that away, and put the image back in its place',
    ];
  if (record.inode !== undefined && file.inode !== record.inode)
    return [
      'replaced file',
      `has inode ${file.inode}, the record says ${record.inode}: it is another file`,
      'until this is settled it is neither staged nor deleted: if the right file is elsewhere, move this one aside, never over it, and rename the right one back with mv -n; if this is the right one, copied back from a backup, move the record out of the root, and --repair makes one for the file',
    ];
  if (file.size < record.bytes)
    return [
      'short file',
      `has ${showBytes(file.size)}, the record says ${showBytes(record.bytes)}`,
      `something cut it off: look at what is in it, and grow it again with truncate -s '>${record.bytes}', which never makes a file smaller`,
    ];
  if (file.size > record.bytes)
    return [
      'long file',
      `has ${showBytes(file.size)}, the record says ${showBytes(record.bytes)}`,
      isWholeDisk(file)
        ? '--repair puts the size of the file into the record; nothing is cut off'
        : `something wrote behind its end: look at that, and cut it off with truncate -s ${record.bytes} while no node has the file attached`,
    ];
  return undefined;
}

function missing(facts: AuditFacts, record: RecordFact): Finding {
  const moved = renamedFrom(facts, record);
  const file = `${nameOf(record)}: its file ${record.data}/${record.key ?? ''}`;
  const object = record.id;
  if (moved)
    return {
      kind: 'renamed file',
      object,
      says: `${file} is at ${moved.path} now`,
      remedy: 'rename it back with mv -n, which overwrites nothing',
    };
  const others = othersOf(facts, record).map(({ path }) => path);
  const first =
    others.length === 0
      ? 'look for it'
      : `look at ${others.join(' and ')} first, which belong to the same object`;
  return {
    kind: 'missing file',
    object,
    says: `${file} is not there`,
    remedy: `${first}; restore it under this name from a backup, or delete the object if you give up its data`,
  };
}
