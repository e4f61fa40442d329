import { messageOf } from '../../model/fault.ts';
import { explainVersion, type Explanation, type ObjectFacts } from '../../model/explain/facts.ts';
import { parseId } from '../../model/ids.ts';
import { findObjects, unknown } from '../finder/find.ts';
import { handleOf, identityOf, type FoundObject } from '../finder/found.ts';
import { traceOf, type Trace } from '../finder/trace.ts';
import { readWord } from '../finder/word.ts';
import type { NodeRecord } from '../node/state/records.ts';
import { localFacts } from './here.ts';
import type { ExplainHost } from './host.ts';
import { objectFacts } from './object.ts';

/** More objects of one name are not explained, only counted. */
const mostObjects = 20;

/**
 * Says all that this node knows of what a word names. Changes nothing. Roots that are away leave what the node's own
 * state and its kernel know. Throws volume-missing where the word names nothing, and invalid-request where it cannot.
 */
export async function explainWord(host: ExplainHost, word: string): Promise<Explanation> {
  const asked = readWord(word);
  const trace = asked.path === undefined ? nowhere : await traceOf(host, asked.path);
  const { objects, problems } = await search(host, word, trace);
  const local = recordsFor(host, asked.text, trace);
  const known = new Set(objects.map(handleOf));
  const onlyHere = local.filter(({ volumeId }) => !known.has(volumeId));
  const said = [...host.away, ...problems];
  if (objects.length === 0 && onlyHere.length === 0) throw missing(host, word, said);
  const facts: ObjectFacts[] = [];
  for (const object of objects.slice(0, mostObjects)) facts.push(await factsOf(host, object, said));
  if (objects.length > mostObjects)
    said.push(`${objects.length - mostObjects} more objects have this name`);
  return {
    version: explainVersion,
    word,
    node: host.node,
    objects: facts,
    onlyHere: await Promise.all(
      onlyHere.map(async (record) => ({
        handle: record.volumeId,
        ...(await localFacts(host, record, undefined)),
      })),
    ),
    problems: said,
  };
}

const nowhere: Trace = { records: [], key: undefined, device: undefined };

/** What the word, and what it leads to on this node, name in the roots. */
async function search({ stores }: ExplainHost, word: string, { records, key }: Trace) {
  const words = [
    word,
    ...(key === undefined ? [] : [key]),
    ...records.map((each) => each.volumeId),
  ];
  const objects = new Map<string, FoundObject>();
  const problems = new Set<string>();
  for (const each of words) {
    const found = await findObjects(stores, each);
    for (const object of found.objects) objects.set(identityOf(object), object);
    for (const problem of found.problems) problems.add(problem);
  }
  return { objects: [...objects.values()], problems: [...problems] };
}

/** Records of this node that a word names by itself: by handle, or by the id in it. */
function recordsFor({ records }: ExplainHost, text: string, trace: Trace): readonly NodeRecord[] {
  const named = records.filter(
    ({ volumeId, generation }) =>
      volumeId === text || generation === text || parseId(volumeId)?.local === text,
  );
  return [...new Set([...trace.records, ...named])];
}

/** One object. What cannot be read of it is said among the problems. */
async function factsOf(
  host: ExplainHost,
  object: FoundObject,
  problems: string[],
): Promise<ObjectFacts> {
  return objectFacts(host, object, (error) => {
    problems.push(messageOf(error));
  });
}

/** Where a root is away, the word may name something in it. */
function missing(host: ExplainHost, word: string, said: readonly string[]): Error {
  const error = unknown(host.stores, word);
  if (said.length > 0) error.message += `; ${said.join('; ')}`;
  return error;
}
