import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { drawStory } from '../../support/tools/picture/draw.ts';
import { ownBytesOf, playStory } from '../../support/tools/picture/story.ts';

const file = join(import.meta.dirname, '../../../docs/images/clone-tree.svg');

describe('the picture of README.md', () => {
  test('is what the driver makes on the simulator (npm run docs writes it)', async () => {
    expect(readFileSync(file, 'utf8')).toBe(drawStory(await playStory()));
  });

  test('shows that snapshots, restores, clones and deletions add no space, and that writes do', async () => {
    const { steps, files } = await playStory();
    const adds = steps.filter(({ grewBytes }) => grewBytes > 0).map(({ what }) => what);
    expect(adds.every((what) => what.includes('writes'))).toBe(true);
    expect(adds).toHaveLength(5);
    const held = files.reduce((sum, file) => sum + ownBytesOf(file), 0);
    expect(held).toBe(steps.reduce((sum, { grewBytes }) => sum + grewBytes, 0));
  });

  test('follows the tree that it is given', async () => {
    const { steps, files } = await playStory();
    const renamed = files.map((each) => ({ ...each, name: each.name.replace('restored', 'a<b') }));
    expect(drawStory({ steps, files: renamed })).toContain('>a&lt;b</text>');
  });
});
