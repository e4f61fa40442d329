import { roundBytes } from '../bytes.ts';
import { mostNamed, type Deletion, type Staying } from './deletion.ts';
import type { ForestNode } from './forest.ts';
import { titleOf } from './names.ts';
import { plainName } from './words.ts';

/** What a deletion would do, a line each: what it frees, and what stays until when. */
export function deletionText(named: readonly ForestNode[], deletion: Deletion): readonly string[] {
  const { goes, freed, stays } = deletion;
  const [first] = named;
  const what = named.length === 1 && first ? kindAndName(first) : `these ${named.length} objects`;
  return [
    `Deleting ${what} would free ${roundBytes(freed)}.`,
    ...(goes.length > 0 ? ['Removed:'] : []),
    ...goes.map((node) => line(node, kindAndName(node))),
    ...(stays.length > 0 ? ['Stays:'] : []),
    ...stays.map((each) => line(each.node, `${kindAndName(each.node)}: ${stayingWords(each)}`)),
    'The order of the deletions makes no difference.',
  ];
}

const line = (node: ForestNode, words: string): string =>
  `  ${(node.held === undefined ? '?' : roundBytes(node.held)).padStart(8)}  ${words}`;

/** `volume op/data`, as one line of a terminal can show it. */
const kindAndName = (node: ForestNode): string =>
  `${node.golden === true ? 'golden image' : node.kind} ${plainName(titleOf(node))}`;

/** Why a file would stay, and what would have to go first. */
function stayingWords(staying: Staying): string {
  const { node, why } = staying;
  switch (why) {
    case 'attached':
      return `attached to node ${node.attachedTo.map(plainName).join(' and ')}; it can be deleted when no pod uses it`;
    case 'group':
      return `taken with group snapshot ${plainName(node.group ?? '')}, which can only be deleted as a whole`;
    case 'read':
      return `deleted for its user, but its file stays as a tombstone ${untilWords(staying)}`;
    case 'dead':
      return `stays ${untilWords(staying)}`;
    case 'kept':
      return 'not named, so it is kept with what it holds';
  }
}

/** `until volume op/copy and 3 others are gone`. */
function untilWords({ until, untilCount }: Staying): string {
  const shown = until.slice(0, mostNamed).map(kindAndName);
  const others = untilCount - shown.length;
  const all = others > 0 ? [...shown, `${others.toLocaleString('en-US')} more`] : shown;
  const last = all.pop() ?? 'what reads through it';
  const list = all.length > 0 ? `${all.join(', ')} and ${last}` : last;
  return `until ${list} ${untilCount > 1 ? 'are' : 'is'} gone`;
}

/** What a deletion would do, for programs. Sizes are numbers of bytes. */
export const deletionJson = ({ goes, freed, stays }: Deletion) => ({
  freedBytes: Number(freed),
  removed: goes.map(nameJson),
  stays: stays.map(({ node, why, until, untilCount }) => ({
    ...nameJson(node),
    why,
    until: until.map(nameJson),
    untilCount,
  })),
});

const nameJson = ({ key, kind, id, name, kubernetes, held, attachedTo }: ForestNode) => ({
  key,
  kind,
  ...(id === undefined ? {} : { id }),
  name,
  ...(kubernetes === undefined ? {} : { kubernetes }),
  ...(held === undefined ? { missing: true } : { ownBytes: Number(held) }),
  ...(attachedTo.length > 0 ? { attachedTo } : {}),
});
