import { Contradiction, expectRead } from './notes.ts';
import type { HeldFile, HeldLoop } from '../../run/trials.ts';
import { loopedName } from './area.ts';
import { makeFile, type Probing } from './cloning.ts';

const texts = ['zero', 'discard', 'write', 'keep'] as const;

/** Tries a clone behind a loop device: direct I/O, holes, and whether zeros hide the data of its parent. */
export async function tryLoops(probing: Probing): Promise<void> {
  const { host, notes, at } = probing;
  const file = at(loopedName);
  const opened: HeldLoop[] = [];
  await notes.attempt('directIo', async () => {
    await makeFile(probing, file, ...texts);
    await host.clone.snap(file, at('above'));
    const loop = await notes.timed('losetup', () => host.trials.loop(file));
    opened.push(loop);
    if (!loop.directIo) throw new Contradiction('the kernel uses buffered I/O on it');
  });
  const [loop] = opened;
  if (!loop) return;
  try {
    const holes = await notes.attempt('punchHole', async () => {
      await loop.discard(1);
    });
    await notes.attempt('zeroInClone', async () => {
      await loop.zero(0);
      await loop.write(2, 'new');
      await expectSectors(loop, holes);
    });
  } finally {
    await loop.close();
  }
  if (notes.outcomes.zeroInClone?.kind !== 'yes') return;
  await notes.attempt('zeroInClone', async () => {
    // Without direct I/O on the device, the file behind it has the same content only now.
    await expectSectors({ read: (sector) => host.trials.read(file, sector) }, holesIn(probing));
    for (const [sector, text] of texts.entries())
      expectRead('the parent', await host.trials.read(at('above'), sector), text);
  });
}

const holesIn = ({ notes }: Probing): boolean => notes.outcomes.punchHole?.kind === 'yes';

async function expectSectors(from: Pick<HeldFile, 'read'>, holes: boolean): Promise<void> {
  expectRead('the zeroed sector', await from.read(0), '');
  if (holes) expectRead('the discarded sector', await from.read(1), '');
  expectRead('the written sector', await from.read(2), 'new');
  expectRead('the sector beside it', await from.read(3), 'keep');
}
