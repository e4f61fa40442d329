import { prose } from './cites.ts';
import type { Tree } from './tree.ts';

const page = 'docs/security.md';

interface Row {
  readonly number: number;
  /** What its last cell holds. */
  readonly last: string;
}

/** Rows of the tables whose last column is called "test". */
function rowsWithTests(tree: Tree): readonly Row[] {
  let isModel = false;
  return prose(page, tree.get(page) ?? '').flatMap(({ number, text }) => {
    const last = lastCell(text);
    isModel = last === 'test' || (isModel && last !== undefined);
    return isModel && last !== undefined && isContent(last) ? [{ number, last }] : [];
  });
}

/** What the last cell of a row of a table holds; undefined for a line of another kind. */
const lastCell = (text: string): string | undefined => /\|([^|]*)\|\s*$/.exec(text)?.[1]?.trim();

const isContent = (cell: string): boolean => !/^(?:test|-+)$/.test(cell);

/** Rows of the threat model that name no test, or one that is not in the repository. */
export function unshownThreats(tree: Tree): readonly string[] {
  const rows = rowsWithTests(tree);
  if (rows.length === 0) return [`${page} has no table with a column "test"`];
  return rows.flatMap(({ number, last }) => {
    const named = [...last.matchAll(/`([^`]+)`/g)].map(([, path = '']) => path);
    if (named.length === 0) return [`${page}:${number} names no test that shows it`];
    return named
      .filter((path) => !path.startsWith('test/') || !tree.has(path))
      .map((path) => `${page}:${number} names ${path}, which is no test`);
  });
}
