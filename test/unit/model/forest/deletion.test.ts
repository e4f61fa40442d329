import { describe, expect, test } from 'vitest';
import { MiB } from '../../../../src/model/bytes.ts';
import { deletionOf, freesEach } from '../../../../src/model/forest/deletion.ts';
import { deletionJson, deletionText } from '../../../../src/model/forest/deletion-words.ts';
import { growForest } from '../../../../src/model/forest/forest.ts';
import { file } from '../../../support/model/forest.ts';

const claim = (name: string) => ({ namespace: 'op', name });

// Of the forest in docs/clone-trees.md, with one attached volume and two snapshots of a group.
const forest = growForest([
  file({ key: 'm', kind: 'tombstone', name: 'of monday', held: 31n * MiB }),
  file({ key: 'r', parent: 'm', held: 2n * MiB, kubernetes: claim('restored') }),
  file({ key: 't', parent: 'm', kind: 'snapshot', held: 12n * MiB, kubernetes: claim('tuesday') }),
  file({ key: 'w', parent: 't', kind: 'snapshot', name: 'wednesday', held: 9n * MiB }),
  file({ key: 'db', parent: 'w', held: MiB, attachedTo: ['node1'], kubernetes: claim('data') }),
  file({ key: 'g1', kind: 'snapshot', held: MiB, group: 'evening' }),
  file({ key: 'g2', kind: 'snapshot', held: MiB, group: 'evening' }),
  file({ key: 'gold', kind: 'snapshot', name: 'debian', held: 3n * MiB, golden: true }),
  ...Array.from({ length: 7 }, (_, n) => file({ key: `c${n}`, parent: 'gold', held: MiB })),
]);

const said = (...keys: readonly string[]): readonly string[] => {
  const named = keys.flatMap((key) => forest.nodes.get(key) ?? []);
  return deletionText(named, deletionOf(forest, new Set(keys)));
};

describe('what a deletion would do', () => {
  test.each([
    [
      'a volume below a tombstone that others read',
      ['r'],
      [
        'Deleting volume op/restored would free 2 MiB.',
        'Removed:',
        '     2 MiB  volume op/restored',
        'Stays:',
        '    31 MiB  tombstone of monday: stays until snapshot op/tuesday, snapshot wednesday and volume op/data are gone',
      ],
    ],
    [
      'a snapshot that others read through',
      ['t'],
      [
        'Deleting snapshot op/tuesday would free 0.',
        'Stays:',
        '    12 MiB  snapshot op/tuesday: deleted for its user, but its file stays as a tombstone until snapshot wednesday and volume op/data are gone',
        '    31 MiB  tombstone of monday: stays until volume op/restored, snapshot wednesday and volume op/data are gone',
      ],
    ],
    [
      'a volume that a node uses',
      ['db'],
      [
        'Deleting volume op/data would free 0.',
        'Stays:',
        '     1 MiB  volume op/data: attached to node node1; it can be deleted when no pod uses it',
        '     9 MiB  snapshot wednesday: not named, so it is kept with what it holds',
        '    12 MiB  snapshot op/tuesday: not named, so it is kept with what it holds',
        '    31 MiB  tombstone of monday: stays until volume op/restored, snapshot op/tuesday, snapshot wednesday and volume op/data are gone',
      ],
    ],
    [
      'one snapshot of a group',
      ['g1'],
      [
        'Deleting snapshot g1 would free 0.',
        'Stays:',
        '     1 MiB  snapshot g1: taken with group snapshot evening, which can only be deleted as a whole',
      ],
    ],
    [
      'a whole group',
      ['g1', 'g2'],
      [
        'Deleting these 2 objects would free 2 MiB.',
        'Removed:',
        '     1 MiB  snapshot g1',
        '     1 MiB  snapshot g2',
      ],
    ],
    [
      'a golden image with clones',
      ['gold'],
      [
        'Deleting golden image debian would free 0.',
        'Stays:',
        '     3 MiB  golden image debian: deleted for its user, but its file stays as a tombstone until volume c0, volume c1, volume c2, volume c3, volume c4 and 2 more are gone',
      ],
    ],
  ])('of %s', (_, keys, lines) => {
    expect(said(...keys)).toEqual([...lines, 'The order of the deletions makes no difference.']);
  });

  test('of all that reads through a tombstone frees the tombstone too', () => {
    const parts = [...forest.nodes.values()].map((each) => ({ ...each, attachedTo: [] }));
    const { freed, goes, stays } = deletionOf(growForest(parts), new Set(['r', 't', 'w', 'db']));
    expect(freed).toBe(55n * MiB);
    expect(goes.map(({ key }) => key).sort()).toEqual(['db', 'm', 'r', 't', 'w']);
    expect(stays).toEqual([]);
  });

  test('ends in a forest with a circle, and does not count a lost file', () => {
    const damaged = growForest([
      file({ key: 'a', parent: 'b', kind: 'tombstone', held: MiB }),
      file({ key: 'b', parent: 'a', kind: 'tombstone', held: MiB }),
      file({ key: 'lost', parent: 'b', held: undefined }),
    ]);
    expect(deletionOf(damaged, new Set(['lost'])).freed).toBe(2n * MiB);
    expect(freesEach(damaged).get('lost')).toBe(2n * MiB);
  });

  test('of a chain of ten thousand is found at once', () => {
    const chain = Array.from({ length: 10_000 }, (_, n) =>
      file({
        key: `k${n}`,
        parent: n === 0 ? null : `k${n - 1}`,
        kind: n === 9999 ? 'volume' : 'tombstone',
        held: MiB,
      }),
    );
    expect(freesEach(growForest(chain)).get('k9999')).toBe(10_000n * MiB);
    expect(deletionOf(growForest(chain), new Set(['k9999'])).goes).toHaveLength(10_000);
  });

  test('for programs, with sizes in bytes', () => {
    expect(deletionJson(deletionOf(forest, new Set(['r'])))).toEqual({
      freedBytes: 2_097_152,
      removed: [
        {
          key: 'r',
          kind: 'volume',
          name: 'r',
          kubernetes: claim('restored'),
          ownBytes: 2_097_152,
        },
      ],
      stays: [
        expect.objectContaining({ key: 'm', why: 'dead', untilCount: 3, ownBytes: 32_505_856 }),
      ],
    });
  });
});
