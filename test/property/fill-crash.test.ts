import { expect, test } from 'vitest';
import { migrateVolume } from '../../src/service/migrate/migrate.ts';
import { goneAfterMs } from '../../src/store/nodes.ts';
import { serverOn, snap, spec, testRoot } from '../support/memory/driver.ts';
import { filesIn, other, roots, sweepAll, twoRoots } from '../support/memory/two-roots.ts';
import { attach } from '../support/memory/world.ts';

test.each(['rename', 'copy'])(
  'a %s cut short before the hand-over: the sweep of any server removes what arrived, and only that',
  async (how) => {
    let swept = 0;
    for (let n = 1, ended = false; !ended; n++) {
      const { gpfs, volumes, snapshots, attachments } = await twoRoots();
      const { id } = await volumes.create(spec('v'));
      gpfs.write(filesIn(gpfs, testRoot)[0] ?? '', 0, 'data');
      const cut = how === 'copy' ? await snapshots.create(snap('s', { id })) : undefined;
      const view = gpfs.server('b1');
      const mover = serverOn(view, 'b1', { roots });
      await mover.roots.all();
      const before = view.calls;
      view.crashAt(n, 'after');
      await migrateVolume(mover.host, id, other).catch(() => undefined);
      ended = view.calls - before < n;
      view.heal();
      const third = serverOn(gpfs.server('b2'), 'b2', { roots });
      await third.roots.all();
      const listed = async () =>
        (await third.volumes.list({ max: 0, token: '' })).items.map((each) => each.id);
      // First the caller that needs the volume ends what was begun on it where it was.
      gpfs.clock.tick(goneAfterMs + 1);
      for (const store of await third.roots.all()) await store.nodes.beat('b2');
      const attached = () => third.attachments.publish(attach(id, 'b2'));
      await attached().catch(attached);
      if ((await listed()).length > 1) swept += 1;
      for (let round = 0; round < 2; round++) await sweepAll(gpfs, third);
      expect(await listed(), `after call ${n}`).toEqual([id]);
      const images = roots.flatMap((root) =>
        filesIn(gpfs, root).filter((path) => path.includes('/volumes/')),
      );
      expect(
        images.map((path) => gpfs.readBlock(path, 0)),
        `after call ${n}`,
      ).toEqual(['data']);
      await attachments.unpublish(id, 'b2');
      await volumes.remove(id);
      if (cut) await snapshots.remove(cut.id);
      expect(
        roots.flatMap((root) => filesIn(gpfs, root)),
        `after call ${n}`,
      ).toEqual([]);
    }
    expect(swept).toBeGreaterThan(0);
  },
);
