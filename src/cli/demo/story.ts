import { appendFile, readFile, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { GiB, showBytes } from '../../model/bytes.ts';
import { growForest } from '../../model/forest/forest.ts';
import { forestText } from '../../model/forest/text.ts';
import { rowsOf } from '../../model/forest/view.ts';
import { readForest } from '../../service/forest/forest.ts';
import type { RunningServer } from '../server/open.ts';
import type { DemoClient } from './client.ts';
import type { Narrator } from './narrator.ts';

/** What the story needs. */
export interface Stage {
  readonly client: DemoClient;
  readonly server: RunningServer;
  readonly narrator: Narrator;
  readonly node: string;
  /** A fresh directory for the mount points of a volume. */
  readonly placeFor: (
    name: string,
  ) => Promise<{ readonly staging: string; readonly target: string }>;
}

/** A volume that a pod would see. */
interface Mounted {
  readonly name: string;
  readonly id: string;
  readonly staging: string;
  readonly target: string;
}

const notes = 'notes.txt';

/** Creates a volume, takes a snapshot, restores, clones, expands, and then deletes the source first. */
export async function playStory(stage: Stage): Promise<void> {
  const { narrator } = stage;
  const source = await useNew(stage, 'db', {});
  await write(stage, source, 'written before the snapshot');
  const snapshot = await narrator.step('snapshot "nightly" of db', () =>
    stage.client.createSnapshot({ name: 'nightly', source_volume_id: source.id }),
  );
  await draw(stage);
  await write(stage, source, 'written after the snapshot');
  const restored = await useNew(stage, 'restored', {
    volume_content_source: { snapshot: { snapshot_id: snapshot } },
  });
  const clone = await useNew(stage, 'clone', {
    volume_content_source: { volume: { volume_id: source.id } },
  });
  await draw(stage);
  await write(stage, clone, 'written to the clone alone');
  for (const volume of [source, restored, clone]) await show(stage, volume);
  await expand(stage, clone);
  await removeInDisorder(stage, { source, restored, clone, snapshot });
}

async function removeInDisorder(
  stage: Stage,
  left: {
    readonly source: Mounted;
    readonly restored: Mounted;
    readonly clone: Mounted;
    readonly snapshot: string;
  },
): Promise<void> {
  const { narrator, client } = stage;
  narrator.say('\nNow the source is deleted first, while volumes made from it are mounted.');
  await release(stage, left.source);
  await narrator.step('delete snapshot nightly', () => client.deleteSnapshot(left.snapshot));
  await draw(stage);
  for (const volume of [left.restored, left.clone]) await show(stage, volume);
  narrator.say(
    '\nWhen the last volume that reads through a hidden parent is deleted, the driver deletes the parent too.',
  );
  await release(stage, left.restored);
  await release(stage, left.clone);
  await draw(stage);
}

type Source = Pick<Parameters<DemoClient['createVolume']>[0], 'volume_content_source'>;

async function useNew(stage: Stage, name: string, source: Source): Promise<Mounted> {
  const { client, narrator, node } = stage;
  const how = source.volume_content_source?.snapshot
    ? 'restore snapshot nightly as'
    : source.volume_content_source?.volume
      ? 'clone db as'
      : `create ${showBytes(10n * GiB)} volume`;
  const range = { required_bytes: String(10n * GiB) };
  const id = await narrator.step(`${how} ${name}`, () =>
    client.createVolume({ name, capacity_range: range, ...source }),
  );
  const { staging, target } = await stage.placeFor(name);
  await narrator.step(`  attach ${name} to node ${node}`, () => client.attach(id, node));
  await narrator.step(`  stage ${name}: loop device and file system`, () =>
    client.stage(id, staging),
  );
  await narrator.step(`  publish ${name} to a pod's directory`, () =>
    client.publish(id, staging, target),
  );
  return { name, id, staging, target };
}

async function release(stage: Stage, { name, id, staging, target }: Mounted): Promise<void> {
  const { client, narrator, node } = stage;
  await narrator.step(`  unmount and detach ${name}`, async () => {
    await client.unpublish(id, target);
    await client.unstage(id, staging);
    await client.detach(id, node);
  });
  await narrator.step(`delete volume ${name}`, () => client.deleteVolume(id));
}

async function write({ narrator }: Stage, volume: Mounted, text: string): Promise<void> {
  await narrator.step(`  write to ${volume.name}: "${text}"`, () =>
    appendFile(join(volume.target, notes), `${text}\n`, { flush: true }),
  );
}

async function show({ narrator }: Stage, volume: Mounted): Promise<void> {
  const text = await readFile(join(volume.target, notes), 'utf8');
  const lines = text.trimEnd().split('\n');
  narrator.say(`  ${volume.name} reads:${lines.map((line) => `\n      ${line}`).join('')}`);
}

async function expand(stage: Stage, volume: Mounted): Promise<void> {
  const sizeOf = async () => {
    const { blocks, bsize } = await statfs(volume.target);
    return `${((blocks * bsize) / 2 ** 30).toFixed(1)} GiB`;
  };
  const before = await sizeOf();
  await stage.narrator.step(`expand ${volume.name} to ${showBytes(12n * GiB)} while mounted`, () =>
    stage.client.expand(volume.id, 12n * GiB, volume.target),
  );
  stage.narrator.say(`  its file system had ${before} and has ${await sizeOf()} now`);
}

async function draw({ server, narrator }: Stage): Promise<void> {
  const [store] = await server.driver.roots.all();
  const complain = ({ message }: Error) => {
    narrator.say(message);
  };
  const files = store ? await readForest(store, (file) => file, { onUnreadable: complain }) : [];
  const rows = [...rowsOf(growForest(files), { collapse: true })];
  const options = { nowMs: Date.now(), color: false };
  const lines = rows.length > 0 ? [...forestText(rows, options)] : ['(no files are left)'];
  narrator.say(`\n${lines.map((line) => `    ${line}`).join('\n')}\n`);
}
