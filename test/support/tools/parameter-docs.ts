import { format } from 'prettier';
import { parameterKeys } from '../../../src/model/class/parameter-keys.ts';
import { documentationOf } from '../../../src/model/class/parameter-table.ts';

const begin = '<!-- made from src/model/class/parameter-keys.ts by npm run docs -->';
const end = '<!-- end of the table -->';

/** docs/parameters.md with the table of src/model/class/parameter-keys.ts. */
export async function withParameterTable(page: string): Promise<string> {
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from < 0 || to < from) throw new Error('docs/parameters.md has no place for the table');
  const table = await format(documentationOf(parameterKeys), {
    parser: 'markdown',
    printWidth: 120,
  });
  return `${page.slice(0, from + begin.length)}\n\n${table}\n${page.slice(to)}`;
}
