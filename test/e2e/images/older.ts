import { access, mkdir, mkdtemp, rename, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cache, checkout } from '../setup/places.ts';
import { attempt, sh } from '../setup/shell.ts';

/** An older driver with its own chart, from which the upgrade starts. */
export interface Older {
  readonly commit: string;
  readonly chart: string;
  readonly archive: string;
}

/** The first commit that had an image. A release, once there is one, takes its place. */
const olderCommit = 'ad37f438b6772f457eeec641bb8d6259ae54a80d';

/** Builds it from the history of the checkout, once; undefined where a shallow clone lacks that history. */
export async function makeOlder(name: string): Promise<Older | undefined> {
  const folder = join(cache, 'older', olderCommit);
  const older = {
    commit: olderCommit.slice(0, 7),
    chart: join(folder, 'charts', 'gpfs-csi'),
    archive: join(folder, 'gpfs-csi.tar'),
  };
  const isThere = await access(older.archive).then(
    () => true,
    () => false,
  );
  if (isThere) return older;
  const git = ['git', '-C', checkout] as const;
  if ((await attempt([...git, 'cat-file', '-e', `${olderCommit}^{commit}`])) === undefined)
    return undefined;
  await mkdir(join(cache, 'older'), { recursive: true });
  const draft = await mkdtemp(join(cache, 'older', 'draft-'));
  const work = await mkdtemp(join(tmpdir(), 'gpfs-csi-older-'));
  try {
    const tar = join(work, 'tree.tar');
    await sh([...git, 'archive', '--output', tar, olderCommit]);
    await sh(['tar', '-C', draft, '-xf', tar]);
    // Its scripts make a base with the Node that they find there.
    const node = join(draft, 'node_modules', 'node');
    await mkdir(node, { recursive: true });
    await symlink(dirname(process.execPath), join(node, 'bin'));
    const script = join(draft, 'scripts', 'image.mjs');
    const options = ['--tag', name, '--out', join(draft, 'gpfs-csi.tar')];
    await sh([process.execPath, script, ...options], { cwd: draft, limitMs: 20 * 60_000 });
    await rm(join(draft, 'node_modules'), { recursive: true });
    await rm(folder, { recursive: true, force: true });
    await rename(draft, folder);
  } finally {
    await rm(work, { recursive: true, force: true });
    await rm(draft, { recursive: true, force: true });
  }
  return older;
}
