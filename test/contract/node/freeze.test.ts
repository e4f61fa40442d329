import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { hostFiles, hostMounts } from '../../../src/run/host-files.ts';
import { frozenNotes } from '../../../src/service/node/state/frozen.ts';
import { mountAs } from '../../support/node/requests.ts';
import { run, self, type Ground, type Ready } from '../../support/node/ground.ts';
import { onGround } from '../../support/node/suite.ts';

let ground: Ground;

onGround((fresh) => {
  ground = fresh;
});

const program = join(import.meta.dirname, '..', '..', '..', 'src', 'cli', 'main.ts');
const watchdog = [process.execPath, program, 'thaw'] as const;
const { node: nodeName } = self;

/** A staged volume whose class wants freezes, on a node that can thaw. */
async function staged(change: Parameters<Ground['restarted']>[0] = {}) {
  const ready = await ground.ready(mountAs('ext4'), 64n * MiB);
  await ground.store.volumes.update(ready.volume.local, (record) => ({
    ...record,
    options: { freeze: 'auto' as const },
  }));
  const node = ground.restarted({ watchdog, ...change });
  await node.stage(ready.ask);
  const done = async () => {
    await node.unstage(ready.volume.id, ready.ask.stagingPath);
    await node.close();
  };
  return { ...ready, node, done };
}

async function ask({ volume }: Pick<Ready, 'volume'>): Promise<string> {
  const record = (await ground.store.volumes.read(volume.local))?.value;
  if (!record?.image) throw new Error('the volume has no image');
  return ground.store.freezes.ask(nodeName, { volume: volume.id, image: record.image.key });
}

const answerTo = async (nonce: string) => {
  let answer: string | undefined;
  await expect
    .poll(async () => (answer = await ground.store.freezes.answerTo(nodeName, nonce)), {
      timeout: 15_000,
    })
    .toBeDefined();
  return answer;
};

/** A write by a process of its own: one that hangs must not hold a thread of ours. */
function write({ ask: { stagingPath } }: Pick<Ready, 'ask'>) {
  const path = join(stagingPath, `file-${Math.random()}`);
  const child = spawn('dd', ['if=/dev/zero', `of=${path}`, 'bs=4k', 'count=1', 'conv=fsync'], {
    stdio: 'ignore',
  });
  const state = { done: false };
  const ended = once(child, 'exit').then(() => {
    state.done = true;
  });
  return { state, ended };
}

describe('a freeze that somebody asks for', () => {
  test('holds up writes until it is withdrawn', async () => {
    const ready = await staged();
    const nonce = await ask(ready);
    expect(await answerTo(nonce)).toBe('');
    const writing = write(ready);
    await sleep(500);
    expect(writing.state.done).toBe(false);
    await ground.store.freezes.retract(nodeName, nonce);
    await writing.ended;
    expect(
      await run(['find', join(ground.directory, 'state', 'frozen'), '-type', 'f'], 'read'),
    ).toBe('');
    await ready.done();
  });

  test('ends by itself after some seconds, and the answer is gone before that', async () => {
    const ready = await staged();
    const nonce = await ask(ready);
    expect(await answerTo(nonce)).toBe('');
    await write(ready).ended;
    expect(await ground.store.freezes.answerTo(nodeName, nonce)).toBeUndefined();
    await ready.done();
  });

  test('gives way to an unstage', async () => {
    const ready = await staged();
    const nonce = await ask(ready);
    expect(await answerTo(nonce)).toBe('');
    await ready.done();
    expect(await ground.store.freezes.answerTo(nodeName, nonce)).toBeUndefined();
    await ground.node.stage(ready.ask);
    await write(ready).ended;
    await ground.node.unstage(ready.volume.id, ready.ask.stagingPath);
  });

  test('is refused in words for another image, and where nothing would thaw it', async () => {
    const ready = await staged({ watchdog: undefined });
    expect(await answerTo(await ask(ready))).toContain('nothing here would thaw it');
    const other = { volume: ready.volume.id, image: 'pvc-x.1-00000000' as never };
    const nonce = await ground.store.freezes.ask(nodeName, other);
    expect(await answerTo(nonce)).toContain('is not mounted here for writing');
    await write(ready).ended;
    await ready.done();
  });

  test('is not looked for while no volume here wants one', async () => {
    let looks = 0;
    const counting = {
      ...ground.store,
      freezes: {
        ...ground.store.freezes,
        requestsTo: (node: string) => {
          looks += 1;
          return ground.store.freezes.requestsTo(node);
        },
      },
    };
    const { volume, ask: staging } = await ground.ready(mountAs('ext4'), 64n * MiB);
    const roots = { byId: () => Promise.resolve({ store: counting, local: volume.local }) };
    const node = ground.restarted({ roots, watchdog });
    await node.stage(staging);
    await sleep(2_500);
    expect(looks).toBe(0);
    await node.unstage(volume.id, staging.stagingPath);
  });
});

async function cgroup2(): Promise<string> {
  const mount = (await hostMounts()()).find(({ type }) => type === 'cgroup2');
  if (!mount) throw new Error('this machine has no cgroups of version 2');
  return mount.point;
}

describe('a driver that dies', () => {
  test('with its whole container, while a file system is frozen: the watchdog thaws it', async () => {
    const ready = await staged();
    const { device } = await hostFiles().stat(ready.ask.stagingPath);
    const group = join(await cgroup2(), `gpfs-csi-test-${process.pid}`);
    await mkdir(group);
    const script = fileURLToPath(new URL('../../support/node/freeze-and-die.ts', import.meta.url));
    const inside = [script, group, `/proc/${process.pid}`, ready.ask.stagingPath, String(device)];
    const container = spawn(process.execPath, inside, { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(container.stdout, 'data')) as [Buffer];
    expect(line.toString()).toBe('frozen\n');
    // What a container runtime does to the last process. It can be gone before the write returns.
    const gone = once(container, 'exit');
    await writeFile(join(group, 'cgroup.kill'), '1');
    await gone;
    expect(await readFile(join(group, 'cgroup.procs'), 'utf8')).toBe('');
    const writing = write(ready);
    await sleep(500);
    expect(writing.state.done).toBe(false);
    await writing.ended;
    await rmdir(group);
    await ready.done();
  });

  test('and starts again thaws what it left frozen', async () => {
    const ready = await staged();
    const path = ready.ask.stagingPath;
    const notes = frozenNotes(hostFiles(), join(ground.directory, 'state'));
    await notes.write({ volumeId: ready.volume.id, path, nonce: '00000001', untilMs: 0 });
    await run(['fsfreeze', '-f', path], 'write');
    await ground.restarted().thaw();
    await write(ready).ended;
    expect(await notes.all()).toEqual([]);
    await ready.done();
  });

  test('and is unstaged by the next one is thawed first, or the freeze would outlast the mount', async () => {
    const ready = await staged();
    const path = ready.ask.stagingPath;
    const notes = frozenNotes(hostFiles(), join(ground.directory, 'state'));
    await notes.write({ volumeId: ready.volume.id, path, nonce: '00000001', untilMs: 0 });
    await run(['fsfreeze', '-f', path], 'write');
    await ready.done();
    await ground.node.stage(ready.ask);
    await expect(run(['fsfreeze', '-u', path], 'write')).rejects.toThrow('Invalid argument');
    await ground.node.unstage(ready.volume.id, path);
  });
});

describe('case 61: a snapshot without a freeze', () => {
  test.each(['ext4', 'xfs'])(
    'holds every fsynced write of %s: 16 cuts under load',
    async (fsType) => {
      const { volume, ask: staging } = await ground.ready(mountAs(fsType));
      await ground.node.stage(staging);
      const counter = await open(join(staging.stagingPath, 'counter'), 'w');
      let acked = 0;
      const load = new AbortController();
      const writing = (async () => {
        while (!load.signal.aborted) {
          await counter.write(String(acked + 1).padStart(12), 0, 'utf8');
          await counter.sync();
          acked += 1;
        }
      })();
      const cuts = [];
      for (let n = 0; n < 16; n += 1) {
        // Between two cuts something new is acknowledged, however slow the machine is.
        const enough = acked + 2;
        while (acked < enough) await sleep(2);
        const known = acked;
        cuts.push({ known, clone: await ground.clone(volume, `cut-${fsType}-${n}`, 512n * MiB) });
      }
      load.abort();
      await writing;
      await counter.close();
      let lost = 0;
      for (const { known, clone } of cuts) {
        await ground.attach(clone, staging.capability);
        const path = await ground.place('cut');
        await ground.node.stage({ ...staging, id: clone.id, stagingPath: path });
        const held = Number(await readFile(join(path, 'counter'), 'utf8'));
        if (held < known) lost += 1;
        await writeFile(join(path, 'usable'), '');
        await ground.node.unstage(clone.id, path);
      }
      expect(lost).toBe(0);
      await ground.node.unstage(volume.id, staging.stagingPath);
    },
  );
});

test('a request that cannot be read is left alone, and others are answered', async () => {
  const ready = await staged();
  const folder = ground.store.layout.freezes('node-a');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'bad.ask'), '{}');
  const nonce = await ask(ready);
  expect(await answerTo(nonce)).toBe('');
  await ready.done();
});
