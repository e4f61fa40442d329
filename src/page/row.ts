import { isDead, type Account } from '../model/forest/accounts.ts';
import { roundBytes, type Bytes } from '../model/bytes.ts';
import type { ForestNode } from '../model/forest/forest.ts';
import { shortId, titleOf } from '../model/forest/names.ts';
import { ageWords, plainName } from '../model/forest/words.ts';
import { make } from './dom.ts';
import type { OutlineRow } from './outline.ts';

/** What the columns need besides the file. */
export interface RowFacts {
  readonly nowMs: number;
  readonly accounts: ReadonlyMap<string, Account>;
  /** What deleting a file alone would free. */
  readonly frees: ReadonlyMap<string, Bytes>;
}

interface PageColumn {
  readonly name: string;
  readonly text: (node: ForestNode, facts: RowFacts) => string;
  /** What comes first has the least. */
  readonly order: (node: ForestNode, facts: RowFacts) => number | string;
}

/** The columns of the tree, and the orders of siblings. */
export const columns: readonly PageColumn[] = [
  { name: 'name', text: (node) => plainName(titleOf(node)), order: titleOf },
  {
    name: 'kind',
    text: (node) => (node.golden === true ? 'golden image' : node.kind),
    order: ({ kind }) => kind,
  },
  {
    name: 'depth',
    text: ({ key }, { accounts }) => String(accounts.get(key)?.depth ?? 0),
    order: ({ key }, { accounts }) => -(accounts.get(key)?.depth ?? 0),
  },
  { name: 'size', text: ({ bytes }) => roundBytes(bytes), order: ({ bytes }) => -Number(bytes) },
  {
    name: 'own',
    text: ({ held }) => (held === undefined ? 'missing' : roundBytes(held)),
    order: ({ held = 0n }) => -Number(held),
  },
  {
    name: 'shared',
    text: ({ key }, { accounts }) => roundBytes(accounts.get(key)?.shared ?? 0n),
    order: ({ key }, { accounts }) => -Number(accounts.get(key)?.shared ?? 0n),
  },
  {
    name: 'frees',
    text: ({ key }, { frees }) => {
      const bytes = frees.get(key);
      return bytes === undefined ? '' : roundBytes(bytes);
    },
    order: ({ key }, { frees }) => -Number(frees.get(key) ?? 0n),
  },
  {
    name: 'age',
    text: ({ createdMs }, { nowMs }) => ageWords(createdMs, nowMs),
    order: ({ createdMs }) => createdMs,
  },
  {
    name: 'node',
    text: ({ attachedTo, leaving }) =>
      [attachedTo.map(plainName).join(' and '), ...(leaving ? ['(being deleted)'] : [])].join(' '),
    order: ({ attachedTo }) => (attachedTo.length > 0 ? attachedTo.join() : '\uffff'),
  },
];

/** The cells of a line; names are indented by their level. */
export function cellsOf(
  { node, level, open }: OutlineRow,
  facts: RowFacts,
  marked: boolean,
): readonly HTMLElement[] {
  return columns.map(({ name, text }) => {
    const words = text(node, facts);
    if (name !== 'name') return make('span', { class: `cell ${name}`, text: words });
    const sign = open === undefined ? '' : open ? '▾' : '▸';
    const cell = make(
      'span',
      {
        class: `cell name${isDead(node) ? ' dead' : ''}`,
        attributes: { title: node.id ?? node.key },
      },
      make('span', {
        class: 'mark',
        text: marked ? '☑' : '☐',
        attributes: { 'aria-hidden': true },
      }),
      make('span', { class: 'fold', text: sign, attributes: { 'aria-hidden': true } }),
      make('span', { class: 'title', text: words }),
      make('span', { class: 'short', text: node.kubernetes ? shortId(node) : '' }),
    );
    // Chains of hundreds would leave the sight: the depth has a column of its own.
    cell.style.paddingLeft = `${Math.min(level - 1, 16) * 14}px`;
    return cell;
  });
}
