import { basename } from 'node:path';
import type { FileKey } from '../../../src/model/ids.ts';
import { testRoot } from './driver.ts';
import { edit, removeState, type Forest } from './forest.ts';
import { recordsIn } from './truth.ts';

const hiddenOf = (world: Forest, why: string) => {
  const record = recordsIn(world.gpfs, 'hidden').find((each) => each.data === why);
  if (!record) throw new Error(`there is no ${why} parent`);
  return record.id;
};

/** Damage to a forest, and what an audit reports of it. */
export interface Damage {
  readonly name: string;
  readonly harm: (world: Forest) => Promise<unknown>;
  readonly finds: (world: Forest) => readonly string[];
  /** What a repair leaves to an administrator. Default: everything. */
  readonly left?: 'nothing' | 'all';
}

const rename = (world: Forest, name: string, to: string) =>
  world.gpfs.files.rename(world.path(name), to);

/** Damage that other programs can do to a root. */
export const damages: readonly Damage[] = [
  {
    name: 'a volume record that is no JSON',
    harm: (world) => edit(world, 'volumes', 'lone', () => '{ "format": 1, '),
    finds: ({ store }) => [
      `damaged record: ${store.layout.recordShard('volumes', 'lone')}/lone.2`,
      'orphan',
    ],
    left: 'nothing',
  },
  {
    name: 'a record that lacks a field',
    harm: (world) => edit(world, 'volumes', 'lone', ({ bytes: _, ...rest }) => rest),
    finds: ({ store }) => [
      `damaged record: ${store.layout.recordShard('volumes', 'lone')}/lone.2`,
      'orphan: lone',
    ],
    left: 'nothing',
  },
  {
    name: 'a record under the name of another object',
    harm: (world) => edit(world, 'volumes', 'lone', (record) => ({ ...record, id: 'v' })),
    finds: ({ store }) => [
      `damaged record: ${store.layout.recordShard('volumes', 'lone')}/lone.2`,
      'orphan: lone',
    ],
    left: 'nothing',
  },
  {
    name: 'a record of a newer version',
    harm: (world) => edit(world, 'hidden', hiddenOf(world, 'hidden'), (r) => ({ ...r, format: 9 })),
    finds: () => ['newer record', 'orphan'],
  },
  {
    name: 'a volume record that names the image of another volume',
    harm: (world) =>
      edit(world, 'volumes', 'lone', (record) => ({
        ...record,
        image: { key: basename(world.path('volumes/r')), inode: '1' },
      })),
    finds: () => [
      'replaced file: lone',
      'shared file: lone',
      'shared file: r',
      'wrong parent: lone',
      'orphan',
    ],
  },
  {
    name: 'an image that was removed',
    harm: (world) => world.gpfs.files.unlink(world.path('volumes/lone')),
    finds: () => ['missing file: lone'],
  },
  {
    name: 'an image that was renamed',
    harm: (world) => rename(world, 'volumes/lone', `${world.path('volumes/lone')}.mine`),
    finds: () => ['renamed file: lone'],
  },
  {
    name: 'an image that was replaced',
    harm: async (world) => {
      const path = world.path('volumes/lone');
      await rename(world, 'volumes/lone', '/gpfs/fs1/csi-data/saved');
      await world.gpfs.files.createSparse(path, 64n << 20n, 0o660);
    },
    finds: () => ['replaced file: lone'],
  },
  {
    name: 'an image that is too short',
    harm: (world) =>
      edit(world, 'volumes', 'lone', (record) => ({ ...record, bytes: String(128n << 20n) })),
    finds: () => ['short file: lone'],
  },
  {
    name: 'an image that is longer than its record says',
    harm: (world) =>
      edit(world, 'volumes', 'lone', (record) => ({ ...record, bytes: String(32n << 20n) })),
    finds: () => ['long file: lone'],
    left: 'nothing',
  },
  {
    name: 'a snapshot that is longer than its record says',
    harm: (world) =>
      edit(world, 'snapshots', 's2', (record) => ({ ...record, bytes: String(32n << 20n) })),
    finds: () => ['long file: s2'],
    left: 'nothing',
  },
  {
    name: 'a directory in place of an image',
    harm: async (world) => {
      const path = world.path('volumes/lone');
      await world.gpfs.files.unlink(path);
      await world.gpfs.files.makeDirectory(path, 0o750);
    },
    finds: () => ['not a file: lone'],
  },
  {
    name: 'a parent that does not exist',
    harm: (world) => edit(world, 'volumes', 'v', (r) => ({ ...r, parent: 'nobody.1-00000000' })),
    finds: () => ['unknown parent: v'],
    left: 'nothing',
  },
  {
    name: 'a parent that is another one',
    harm: (world) =>
      edit(world, 'volumes', 'r', (r) => ({ ...r, parent: basename(world.path('snapshots/s2')) })),
    finds: () => ['wrong parent: r'],
    left: 'nothing',
  },
  {
    name: 'no parent where there is one',
    harm: (world) => edit(world, 'volumes', 'r', (record) => ({ ...record, parent: null })),
    finds: () => ['wrong parent: r'],
    left: 'nothing',
  },
  {
    name: 'a circle of parents',
    harm: (world) =>
      edit(world, 'snapshots', 's1', (record) => ({
        ...record,
        parent: basename(world.path('snapshots/s2')),
      })),
    finds: () => ['cycle', 'wrong parent: s1'],
    left: 'nothing',
  },
  {
    name: 'a stray file',
    harm: ({ gpfs }) => gpfs.files.createSparse(`${testRoot}/volumes/notes.txt`, 5n, 0o600),
    finds: () => ['strange file'],
    left: 'nothing',
  },
  {
    name: 'an image that no record names',
    harm: async (world) => {
      const path = world.path('volumes/lone').replace(/lone\..*/, 'lone.1-abcdef00');
      await world.gpfs.files.createSparse(path, 4096n, 0o660);
    },
    finds: () => ['orphan'],
    left: 'nothing',
  },
  {
    name: 'an edge to nobody',
    harm: (world) =>
      world.store.edges.add(
        basename(world.path('snapshots/s1')) as FileKey,
        'gone.1-00000000' as FileKey,
      ),
    finds: () => ['edge without child'],
    left: 'nothing',
  },
  {
    name: 'no edges at all',
    harm: ({ gpfs }) => removeState(gpfs, 'edges'),
    finds: () => Array.from({ length: 6 }, () => 'child without edge'),
    left: 'nothing',
  },
  {
    name: 'a tombstone without a record',
    harm: async (world) => {
      const key = hiddenOf(world, 'snapshots');
      const held = await world.store.hidden.read(key);
      if (held) await world.store.hidden.forget(held);
    },
    finds: () => ['orphan'],
    left: 'nothing',
  },
  {
    name: 'a level that a stalled server cut late',
    harm: async (world) => {
      const late = world.store.layout.data('hidden', 'lone.2-0a0b0c0d' as FileKey);
      await world.store.directoryOf(late);
      await world.gpfs.run(['mmclone', 'snap', world.path('volumes/lone'), late], 'write');
    },
    finds: () => ['extra level: lone', 'orphan'],
    left: 'nothing',
  },
  {
    name: 'a clone that lies outside of the root',
    harm: (world) =>
      world.gpfs.run(
        ['mmclone', 'copy', world.path('snapshots/s1'), '/gpfs/fs1/csi-data/mine'],
        'write',
      ),
    finds: () => ['unknown children: s1'],
  },
  {
    name: 'a parent that was moved out of the root',
    harm: (world) => rename(world, 'snapshots/s1', '/gpfs/fs1/csi-data/mine'),
    finds: () => ['missing file: s1', 'nameless parent', 'nameless parent'],
  },
  {
    name: 'a mark of a machine that has booted since',
    harm: async (world) => {
      const self = { node: 'b1', machineId: 'm', bootId: 'old', instance: 'i', version: '1' };
      await world.store.nodes.register({ ...self, bootId: 'new', maxVolumes: 1 });
      const image = basename(world.path('volumes/lone')) as FileKey;
      await world.store.marks.set(image, { ...self, maxVolumes: 1 });
    },
    finds: () => ['stale mark'],
    left: 'nothing',
  },
];
