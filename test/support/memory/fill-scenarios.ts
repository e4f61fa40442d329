import { from, spec } from './driver.ts';
import type { Scenario, World } from './world.ts';
import { writeVolume } from './truth.ts';

const thick = { parameters: { provisioning: 'thick', pool: 'data' } };

async function source(world: World): Promise<void> {
  const { id } = await world.driver.volumes.create(spec('v'));
  world.ids.set('v', id);
  writeVolume(world.gpfs, 'v', 'v');
}

const id = ({ ids }: World) => ({ id: ids.get('v') ?? '' });

/** Operations that fill a file, or change what it is made of. */
export const fillScenarios: readonly Scenario[] = [
  {
    name: 'create a thick volume',
    prepare: async () => Promise.resolve(),
    act: async ({ volumes }) => String((await volumes.create(spec('v', thick))).bytes),
    answer: String(64n << 20n),
    after: { 'volumes/v': '' },
  },
  {
    name: 'clone a volume to a thick volume, as a copy of a hidden parent',
    prepare: source,
    act: async ({ volumes }, world) => {
      const wanted = spec('c', { ...thick, source: from('volume', id(world)) });
      return String((await volumes.create(wanted)).bytes);
    },
    answer: String(64n << 20n),
    after: { 'volumes/v': 'v', 'volumes/c': 'v' },
  },
  {
    name: 'retype a volume',
    prepare: source,
    act: async ({ volumes }, world) => {
      await volumes.modify(id(world).id, new Map([['pool', 'data']]));
      return 'done';
    },
    answer: 'done',
    after: { 'volumes/v': 'v' },
  },
];
