// Writes the parts of docs/ that are made from the source: the table of class parameters.
import { readFile, writeFile } from 'node:fs/promises';
import { withParameterTable } from '../test/support/tools/parameter-docs.ts';

const page = new URL('../docs/parameters.md', import.meta.url);
await writeFile(page, await withParameterTable(await readFile(page, 'utf8')));
