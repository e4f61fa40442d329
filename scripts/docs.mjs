// Writes the parts of the documentation that are made from the source: the table of class parameters, and the
// picture of README.md.
import { readFile, writeFile } from 'node:fs/promises';
import { withParameterTable } from '../test/support/tools/parameter-docs.ts';
import { drawStory } from '../test/support/tools/picture/draw.ts';
import { playStory } from '../test/support/tools/picture/story.ts';

const page = new URL('../docs/parameters.md', import.meta.url);
await writeFile(page, await withParameterTable(await readFile(page, 'utf8')));

const picture = new URL('../docs/images/clone-tree.svg', import.meta.url);
await writeFile(picture, drawStory(await playStory()));
