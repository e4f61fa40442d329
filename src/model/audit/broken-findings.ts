import { counted } from '../bytes.ts';
import { nameOf, type AuditFacts, type BrokenFact, type Finding } from './facts.ts';
import { isRewritten, outdatedIn, type Outdated } from './doubts.ts';
import type { Graph } from './facts-graph.ts';

/** Files of the driver that cannot be read, each with what to do and what not to do. */
export const brokenFindings = ({ broken }: AuditFacts): readonly Finding[] =>
  broken.map((fact) =>
    fact.newer
      ? {
          kind: 'newer record',
          object: fact.path,
          says: `${fact.path} was written by a newer version of the driver`,
          remedy: 'upgrade this one',
        }
      : {
          kind: 'damaged record',
          object: fact.path,
          says: `${fact.path} cannot be used: ${fact.why}`,
          remedy: remedyFor(fact),
        },
  );

function remedyFor({ in: place, id }: BrokenFact): string {
  switch (place) {
    case 'marks':
      return 'leave it until no node has the volume staged: it keeps a second node from writing; the node of that name writes it again at its next stage';
    case 'nodes':
      return 'restart the driver on that node, which writes it again';
    case 'queue':
      return 'move it out of the root: a server finds the work again at its next sweep';
    default:
      return id === undefined
        ? 'move it out of the root: the next server that takes the upkeep writes it again'
        : '--repair sets it aside and makes a new one from the file it was about; an older copy of the record in its place would name what the object was before';
  }
}

/** Whether the records or the files of this root are of an earlier time than the others: one line, then one for each. */
export function restoredFindings(facts: AuditFacts, graph: Graph): readonly Finding[] {
  const outdated = outdatedIn(facts);
  const rewritten = isRewritten(facts, graph);
  if (outdated.length === 0 && !rewritten) return [];
  const says =
    outdated.length > 0
      ? `${outdated.length} of ${counted(facts.records.length, 'record')} ${outdated.length === 1 ? 'is' : 'are'} older than files of their objects, as after an older copy of the records was restored`
      : 'no file has the inode that its record names, as after the files were copied back from a backup';
  return [
    {
      kind: 'restored root',
      object: 'root',
      says,
      remedy:
        'delete, rename and attach nothing in it, and stop its servers; --repair changes nothing here; docs/restored-root.md says what to do, in which order',
    },
    ...outdated.map(outdatedFinding),
  ];
}

const outdatedFinding = ({ record, files }: Outdated): Finding => ({
  kind: 'outdated record',
  object: record.id,
  says: `${nameOf(record)}: its record is version ${record.version}, and a later one made ${files.map(({ path }) => path).join(' and ')}`,
  remedy:
    'the data of the object is in the newer file, unless that was left by an earlier object of this name',
});
