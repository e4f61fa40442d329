import { isFault, messageOf } from '../../model/fault.ts';
import { freezeMs, type FreezeRequest } from '../../store/freezes.ts';
import type { RootStore } from '../../store/root.ts';
import type { Frozen, Freezer } from './frozen.ts';
import type { NodeRecord } from './noderecords.ts';
import type { NodeParts } from './parts.ts';
import { isLive } from './staging.ts';

/** How often a node looks for requests, and only while it holds a volume whose class wants freezes. */
const pollMs = 1_000;
const frozenPollMs = 100;

/** The freezer of one process. */
export function freezerOf(parts: NodeParts): Freezer {
  const watched = new Map<string, RootStore>();
  const newcomers = newcomersOf();
  const poll = everySecond(async () => {
    const asked: (readonly [RootStore, FreezeRequest])[] = [];
    for (const store of new Set(watched.values()))
      for (const request of await store.freezes.requestsTo(parts.self.node))
        asked.push([store, request]);
    const fresh = newcomers(asked.map(([, { nonce }]) => nonce));
    for (const [store, request] of asked)
      if (fresh.delete(request.nonce)) void answer(parts, store, request);
  });
  return {
    watch: async (id, store) => {
      // What is there by now was asked of a driver that is gone, by somebody who waits no more.
      if (![...watched.values()].includes(store)) await store.freezes.clear(parts.self.node);
      watched.set(id, store);
      poll.start();
    },
    unwatch: (id) => {
      watched.delete(id);
      if (watched.size === 0) poll.stop();
    },
    thawLeft: async (id) => {
      const all = await parts.frozen.all();
      for (const left of all.filter(({ volumeId }) => id === undefined || volumeId === id))
        await thawOne(parts, left);
    },
    [Symbol.dispose]: poll.stop,
  };
}

/** Tells which names were not there the last time, and remembers no others than those that are there now. */
export function newcomersOf(): (names: readonly string[]) => Set<string> {
  let known = new Set<string>();
  return (names) => {
    const fresh = new Set(names.filter((name) => !known.has(name)));
    known = new Set(names);
    return fresh;
  };
}

/** Runs `look` once a second, never twice at once. */
function everySecond(look: () => Promise<void>) {
  let timer: NodeJS.Timeout | undefined;
  let looking = false;
  const round = (): void => {
    if (looking) return;
    looking = true;
    // A root that does not answer: its requests find nobody, and the snapshots go on without.
    void look()
      .catch(() => undefined)
      .finally(() => {
        looking = false;
      });
  };
  return {
    start: (): void => {
      timer ??= setInterval(round, pollMs).unref();
    },
    stop: (): void => {
      clearInterval(timer);
      timer = undefined;
    },
  };
}

/** Freezes for one request, and tells how that went; never throws. */
async function answer(parts: NodeParts, store: RootStore, request: FreezeRequest): Promise<void> {
  const { nonce, volume: id } = request;
  const { node } = parts.self;
  const refuse = (why: string) => store.freezes.answer(node, nonce, why).catch(() => undefined);
  try {
    const record = await parts.records.read(id);
    if (!record || !(await mayFreeze(parts, record, request)))
      return await refuse('the volume is not mounted here for writing');
    await parts.background.settle(id);
    const ran = await parts.background.run(id, (stop) => hold(parts, store, request, record, stop));
    if (!ran) await refuse('another operation on the volume is under way on its node');
  } catch (error) {
    await refuse(messageOf(error));
  }
}

const mayFreeze = async (
  parts: NodeParts,
  record: NodeRecord,
  { image }: FreezeRequest,
): Promise<boolean> =>
  record.kind === 'mount' &&
  !record.readonly &&
  record.generation === image &&
  isLive(parts, record);

/** Frozen until the request is withdrawn, its time is up, or something else wants the volume. */
async function hold(
  parts: NodeParts,
  store: RootStore,
  { nonce }: FreezeRequest,
  { volumeId, stagingPath: path }: NodeRecord,
  stop: AbortSignal,
): Promise<void> {
  const { clock, self } = parts;
  const until = clock.now() + freezeMs;
  const { device } = await parts.files.stat(path);
  const watchdog = await parts.watchdog({ path, device, ms: freezeMs });
  await parts.frozen.write({ volumeId, path, nonce, untilMs: until });
  try {
    await parts.fsfreeze.freeze(path);
    await store.freezes.answer(self.node, nonce, '');
    while (!stop.aborted && clock.now() < until && (await store.freezes.isAsked(self.node, nonce)))
      await clock.sleep(frozenPollMs);
  } finally {
    await thaw(parts, store, { volumeId, path, nonce, untilMs: until });
    await watchdog.dismiss();
  }
}

async function thawOne(parts: NodeParts, left: Frozen): Promise<void> {
  const root = await parts.roots.byId(left.volumeId).catch(() => undefined);
  await thaw(parts, root?.store, left);
}

/**
 * Takes the answer back first: a snapshot that still finds it was cut under the freeze. Where that cannot be
 * done, the freeze is kept for as long as the snapshot may believe in it.
 */
async function thaw(
  parts: NodeParts,
  store: RootStore | undefined,
  { volumeId, path, nonce, untilMs }: Frozen,
): Promise<void> {
  const taken = await store?.freezes.takeBack(parts.self.node, nonce).then(
    () => true,
    (error: unknown) => !isFault(error, 'unavailable'),
  );
  const left = untilMs - parts.clock.now();
  if (taken !== true && left > 0) await parts.clock.sleep(Math.min(left, freezeMs));
  if ((await parts.mounter.at(path)).length > 0) await parts.fsfreeze.thaw(path);
  await parts.frozen.remove(volumeId);
}
