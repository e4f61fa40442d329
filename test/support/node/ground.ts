import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { GiB, MiB, type Bytes } from '../../../src/model/bytes.ts';
import type { Capability } from '../../../src/model/capability.ts';
import {
  fileKey,
  localIdOf,
  publicId,
  type FileKey,
  type LocalId,
} from '../../../src/model/ids.ts';
import { hostRun } from '../../../src/run/host-run.ts';
import { hostFiles, hostMounts } from '../../../src/run/host-files.ts';
import { randomNonce, systemClock } from '../../../src/run/clock.ts';
import type { Run } from '../../../src/run/run.ts';
import type { StageAsk } from '../../../src/service/api.ts';
import {
  nodeVolumes,
  type NodeSide,
  type NodeVolumesOptions,
} from '../../../src/service/node/node.ts';
import { openRoot, type RootStore } from '../../../src/store/root.ts';
import type { Content } from '../../../src/store/schema/data.ts';
import { rootsIn } from './calls.ts';
import { loopState } from '../../../src/linux/sysblock.ts';
import { stageAsk } from './requests.ts';

const nodeName = 'node-a';
export const self = {
  node: nodeName,
  machineId: 'machine-a',
  bootId: 'boot-1',
  instance: 'instance-1',
  version: 'test',
  maxVolumes: 8,
};

export const run: Run = hostRun({ mmDirectory: '/nonexistent' });
const mounts = hostMounts();
const files = hostFiles();

/** A volume that exists in the root of a ground. */
export interface GroundVolume {
  readonly id: string;
  readonly local: LocalId;
  readonly image: string;
}

export interface Ready {
  readonly volume: GroundVolume;
  readonly ask: StageAsk;
  /** A path for a pod, whose parent exists. */
  readonly pod: string;
}

/** Everything that the node side needs, on its own file system with reflinks; `close` removes all of it. */
export interface Ground {
  readonly directory: string;
  readonly store: RootStore;
  readonly node: NodeSide;
  /** Another process over the same state directory, as after a restart; `change` gives it other ports. */
  restarted(change?: Partial<NodeVolumesOptions>): NodeSide;
  /** A directory for staging or pods. */
  place(name: string): Promise<string>;
  volume(name: string, bytes: Bytes, content?: Content): Promise<GroundVolume>;
  /** A clone, by reflink, of the image as it is on disk now. */
  clone(of: GroundVolume, name: string, bytes: Bytes): Promise<GroundVolume>;
  /** A new volume, attached, and the request to stage it. */
  ready(capability: Capability, bytes?: Bytes, content?: Content): Promise<Ready>;
  attach(
    volume: GroundVolume,
    capability: Capability,
    readonly?: boolean,
    nodes?: readonly string[],
  ): Promise<void>;
  detach(volume: GroundVolume): Promise<void>;
  grow(volume: GroundVolume, bytes: Bytes): Promise<void>;
  content(volume: GroundVolume): Promise<Content | undefined>;
  marks(): Promise<readonly string[]>;
  /** Loop devices over files of this ground, without the ground's own. */
  loops(): Promise<readonly string[]>;
  /** Mount points in this ground, without the ground's own. */
  mountPoints(): Promise<readonly string[]>;
  /** Takes down what is left over; resolves to its names. */
  leaks(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** What a ground lies on. */
export interface Below {
  readonly type: 'xfs' | 'btrfs';
  /** The sector size of the device under it, to which direct I/O is aligned. */
  readonly sectorBytes: 512 | 4096;
}

const makers: Readonly<Record<Below['type'], readonly [string, ...string[]]>> = {
  xfs: ['mkfs.xfs', '-q', '-m', 'reflink=1'],
  btrfs: ['mkfs.btrfs', '-q'],
};

/** Makes a ground: a file system with reflinks on a loop file in a temporary directory, with one empty root. */
export async function newGround(
  { type, sectorBytes }: Below = { type: 'xfs', sectorBytes: 4096 },
): Promise<Ground> {
  const directory = await mkdtemp(join(tmpdir(), 'node-ground-'));
  const shared = join(directory, 'shared');
  const disk = join(directory, 'disk.img');
  await writeFile(disk, '');
  await truncate(disk, Number(8n * GiB));
  await mkdir(shared);
  const sectors = ['-b', String(sectorBytes)];
  const attach = ['losetup', '-f', '--show', ...sectors, '--direct-io=on', disk] as const;
  const ownLoop = (await run(attach, 'write')).trim();
  try {
    await run([...makers[type], ownLoop], 'write');
    await run(['mount', '-t', type, ownLoop, shared], 'write');
  } catch (error) {
    await run(['losetup', '-d', ownLoop], 'write');
    throw error;
  }
  await mkdir(join(shared, 'root'));
  const facts = { clusterId: 'c', fileSystem: 'fs', fileset: 'root', owner: 'o' };
  const host = { files, mounts, clock: systemClock, nonce: randomNonce, mountType: type };
  const store = await openRoot(join(shared, 'root'), facts, host);
  return ground({ directory, shared, ownLoop, type }, store);
}

interface Underground
  extends Pick<Below, 'type'>, Readonly<Record<'directory' | 'shared' | 'ownLoop', string>> {}

function ground({ directory, shared, ownLoop, type }: Underground, store: RootStore): Ground {
  const build = (change: Partial<NodeVolumesOptions> = {}) =>
    nodeVolumes({
      roots: rootsIn(directory, store.id, change.files ?? files, type),
      self,
      run,
      files,
      mounts,
      clock: systemClock,
      stateDirectory: join(directory, 'state'),
      kubeletDirectory: join(directory, 'kubelet'),
      limits: { sizeMs: 500, statfsMs: 2_000 },
      ...change,
    });
  const loops = () => loopsUnder(directory, ownLoop);
  const volumes = volumesOf(store);
  const place = async (name: string) => {
    const path = join(directory, 'kubelet', name);
    await mkdir(path, { recursive: true });
    return path;
  };
  let made = 0;
  const mountPoints = async () =>
    (await mounts())
      .map(({ point }) => point)
      .filter((point) => point.startsWith(`${directory}/`) && point !== shared);
  const sweep = async () => {
    for (const point of [...(await mountPoints())].reverse()) await run(['umount', point], 'write');
    for (const loop of await loops()) await run(['losetup', '-d', loop], 'write');
    for (const mark of await volumes.marks()) await files.unlink(mark);
  };
  return {
    directory,
    store,
    node: build(),
    restarted: build,
    ...volumes,
    place,
    ready: async (capability, bytes = 512n * MiB, content = { kind: 'empty' }) => {
      made += 1;
      const number = made;
      const volume = await volumes.volume(`pvc-${number}`, bytes, content);
      await volumes.attach(volume, capability);
      const staging = await place(`staging-${number}`);
      const pod = join(await place(`pod-${number}`), 'target');
      return { volume, ask: stageAsk(volume, staging, capability), pod };
    },
    loops,
    mountPoints,
    leaks: async () => {
      const found = [await mountPoints(), await loops(), await volumes.marks()];
      await sweep();
      return found.flat();
    },
    close: async () => {
      await sweep();
      await run(['umount', shared], 'write');
      await run(['losetup', '-d', ownLoop], 'write');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

type VolumeParts = Pick<
  Ground,
  'volume' | 'clone' | 'attach' | 'detach' | 'grow' | 'content' | 'marks'
>;

function volumesOf(store: RootStore): VolumeParts {
  const keyOf = async (volume: GroundVolume): Promise<FileKey> => {
    const image = (await store.volumes.read(volume.local))?.value.image;
    if (!image) throw new Error(`no image of ${volume.id}`);
    return image.key;
  };
  const change = (volume: GroundVolume, fields: object) =>
    store.volumes.update(volume.local, (record) => ({ ...record, ...fields }));
  return {
    volume: async (name, bytes, content = { kind: 'empty' }) =>
      add(store, name, bytes, content, async (path) => {
        await store.files.createSparse(path, bytes, 0o660);
      }),
    clone: async (of, name, bytes) => {
      const content = (await store.volumes.read(of.local))?.value.content ?? { kind: 'unknown' };
      return add(store, name, bytes, content, async (path) => {
        await run(['cp', '--reflink=always', of.image, path], 'write');
        await store.files.grow(path, bytes);
      });
    },
    attach: async (volume, capability, readonly = false, nodes = [nodeName]) => {
      const attachments = nodes.map((node) => ({ node, readonly, capability, sinceMs: 1 }));
      await change(volume, { attachments });
    },
    detach: async (volume) => {
      await change(volume, { attachments: [] });
    },
    grow: async (volume, bytes) => {
      await store.files.grow(store.layout.data('volumes', await keyOf(volume)), bytes);
      await change(volume, { bytes });
    },
    content: async ({ local }) => (await store.volumes.read(local))?.value.content,
    marks: async () => {
      const all = await run(['find', join(store.layout.state, 'marks'), '-type', 'f'], 'read');
      return all.split('\n').filter((line) => line !== '');
    },
  };
}

async function add(
  store: RootStore,
  name: string,
  bytes: Bytes,
  content: Content,
  make: (path: string) => Promise<void>,
): Promise<GroundVolume> {
  const local = localIdOf(name);
  const key = fileKey(local, 1, randomNonce());
  const image = store.layout.data('volumes', key);
  await mkdir(dirname(image), { recursive: true });
  await make(image);
  const { inode } = await store.files.stat(image);
  const asked = { requiredBytes: bytes, limitBytes: 0n, capabilities: [], parameters: {} };
  await store.volumes.swap(local, undefined, {
    format: 1,
    id: local,
    name,
    state: 'ready',
    bytes,
    asked: { ...asked, source: null },
    attributes: {},
    options: {},
    context: {},
    image: { key, inode },
    parent: null,
    content,
    unchanged: false,
    attachments: [],
    createdMs: 1,
    claim: null,
    retype: null,
  });
  return { id: publicId(store.id, local), local, image };
}

async function loopsUnder(directory: string, own: string): Promise<readonly string[]> {
  // A machine may have a thousand that are free, which have no such directory.
  const names = (await files.list('/sys/block')).filter(
    (name) => name.startsWith('loop') && existsSync(`/sys/block/${name}/loop`),
  );
  const states = await Promise.all(names.map((name) => loopState(`/dev/${name}`)));
  return names
    .filter((_, index) => states[index]?.backingFile.startsWith(`${directory}/`))
    .map((name) => `/dev/${name}`)
    .filter((path) => path !== own);
}
