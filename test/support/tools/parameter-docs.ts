import { format } from 'prettier';
import { mountOptionsList } from '../../../src/model/class/mount-options.ts';
import { parameterKeys } from '../../../src/model/class/parameter-keys.ts';
import { documentationOf } from '../../../src/model/class/parameter-table.ts';

const end = '<!-- end of what is made -->';

/** docs/parameters.md with the table of class parameters and the list of mount options. */
export async function withParameterTable(page: string): Promise<string> {
  const keys = await withPart(page, 'parameter-keys', documentationOf(parameterKeys));
  return withPart(keys, 'mount-options', mountOptionsList());
}

/** The page with the part that is made from one file of src/model/class. */
async function withPart(page: string, file: string, made: string): Promise<string> {
  const begin = `<!-- made from src/model/class/${file}.ts by npm run docs -->`;
  const from = page.indexOf(begin);
  const to = page.indexOf(end, from);
  if (from < 0 || to < from)
    throw new Error(`docs/parameters.md has no place for what is made from ${file}`);
  const text = await format(made, { parser: 'markdown', printWidth: 120, proseWrap: 'always' });
  return `${page.slice(0, from + begin.length)}\n\n${text}\n${page.slice(to)}`;
}
