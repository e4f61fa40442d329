import { isFault, messageOf } from '../../../model/fault.ts';
import { freezeMs, type FreezeRequest } from '../../../store/freezes.ts';
import type { RootStore } from '../../../store/root.ts';
import type { FrozenNote } from '../state/frozen.ts';
import type { Freezer, NodeHost } from '../host.ts';
import type { NodeRecord } from '../state/records.ts';
import { isLive } from '../device/places.ts';

/** How often a node looks for requests, and only while it has a volume whose class asks for freezes. */
const pollMs = 1_000;
const frozenPollMs = 100;

/** What freezing needs: the node's host without the freezer itself. */
type FreezingHost = Omit<NodeHost, 'freezer'>;

/** The freezer of one process. */
export function freezerOf(host: FreezingHost): Freezer {
  const watched = new Map<string, RootStore>();
  const newcomers = newcomersOf();
  const poll = everySecond(async () => {
    const asked: (readonly [RootStore, FreezeRequest])[] = [];
    for (const store of new Set(watched.values()))
      for (const request of await store.freezes.requestsTo(host.self.node))
        asked.push([store, request]);
    const fresh = newcomers(asked.map(([, { nonce }]) => nonce));
    for (const [store, request] of asked)
      if (fresh.delete(request.nonce)) void answer(host, store, request);
  });
  return {
    watch: async (id, store) => {
      // Requests that are there already were for a driver that is gone; their servers wait no more.
      if (![...watched.values()].includes(store)) await store.freezes.clear(host.self.node);
      watched.set(id, store);
      poll.start();
    },
    unwatch: (id) => {
      watched.delete(id);
      if (watched.size === 0) poll.stop();
    },
    thawLeft: async (id) => {
      const all = await host.frozen.all();
      for (const left of all.filter(({ volumeId }) => id === undefined || volumeId === id))
        await thawOne(host, left);
    },
    [Symbol.dispose]: poll.stop,
  };
}

/** A function that gives the names that were not in its last list; it remembers only the names of the last list. */
export function newcomersOf(): (names: readonly string[]) => Set<string> {
  let known = new Set<string>();
  return (names) => {
    const fresh = new Set(names.filter((name) => !known.has(name)));
    known = new Set(names);
    return fresh;
  };
}

/** Runs work once a second, never twice at once. */
function everySecond(work: () => Promise<void>) {
  let timer: NodeJS.Timeout | undefined;
  let running = false;
  const round = (): void => {
    if (running) return;
    running = true;
    // When a root does not answer, its requests stay unanswered and the snapshots are taken without a freeze.
    void work()
      .catch(() => undefined)
      .finally(() => {
        running = false;
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

/** Freezes for one request and answers it; never throws. */
async function answer(host: FreezingHost, store: RootStore, request: FreezeRequest): Promise<void> {
  const { nonce, volume: id } = request;
  const { node } = host.self;
  const refuse = (why: string) => store.freezes.answer(node, nonce, why).catch(() => undefined);
  try {
    const record = await host.records.read(id);
    if (!record || !(await mayFreeze(host, record, request)))
      return await refuse('the volume is not mounted here for writing');
    await host.background.settle(id);
    const ran = await host.background.run(id, (stop) =>
      hold(host, { store, request, record }, stop),
    );
    if (!ran) await refuse('another operation on the volume is under way on its node');
  } catch (error) {
    await refuse(messageOf(error));
  }
}

const mayFreeze = async (
  host: Pick<NodeHost, 'losetup' | 'mounter'>,
  record: NodeRecord,
  { image }: FreezeRequest,
): Promise<boolean> =>
  record.kind === 'mount' &&
  !record.readonly &&
  record.generation === image &&
  isLive(host, record);

/** A request to freeze a volume, and the record of that volume on this node. */
interface Freeze {
  readonly store: RootStore;
  readonly request: FreezeRequest;
  readonly record: NodeRecord;
}

/** Keeps a volume frozen until the request is withdrawn, its time is up, or a request wants the volume. */
async function hold(
  host: FreezingHost,
  { store, request, record }: Freeze,
  stop: AbortSignal,
): Promise<void> {
  const { nonce } = request;
  const { volumeId, stagingPath: path } = record;
  const { clock, self } = host;
  const until = clock.now() + freezeMs;
  const { device } = await host.files.stat(path);
  const watchdog = await host.watchdog({ path, device, ms: freezeMs });
  await host.frozen.write({ volumeId, path, nonce, untilMs: until });
  try {
    await host.fsfreeze.freeze(path);
    await store.freezes.answer(self.node, nonce, '');
    while (!stop.aborted && clock.now() < until && (await store.freezes.isAsked(self.node, nonce)))
      await clock.sleep(frozenPollMs);
  } finally {
    await thaw(host, store, { volumeId, path, nonce, untilMs: until });
    await watchdog.dismiss();
  }
}

async function thawOne(host: FreezingHost, left: FrozenNote): Promise<void> {
  const root = await host.roots.byId(left.volumeId).catch(() => undefined);
  await thaw(host, root?.store, left);
}

/**
 * Removes the answer first: a snapshot that still finds it was taken under the freeze. Where it cannot be
 * removed, the file system stays frozen for as long as the snapshot may rely on the answer.
 */
async function thaw(
  host: FreezingHost,
  store: RootStore | undefined,
  { volumeId, path, nonce, untilMs }: FrozenNote,
): Promise<void> {
  const removed = await store?.freezes.takeBack(host.self.node, nonce).then(
    () => true,
    (error: unknown) => !isFault(error, 'unavailable'),
  );
  const left = untilMs - host.clock.now();
  if (removed !== true && left > 0) await host.clock.sleep(Math.min(left, freezeMs));
  if ((await host.mounter.at(path)).length > 0) await host.fsfreeze.thaw(path);
  await host.frozen.remove(volumeId);
}
