import type { QueueState } from '../../model/forest/words.ts';
import type { RootStore } from '../../store/root.ts';

/** What is on the queue of a root, the reasons of what waits counted. */
export async function readQueue(store: RootStore): Promise<QueueState> {
  const ready = (await store.queue.ready()).length;
  const reasons = new Map<string, number>();
  for (const { why } of (await store.queue.waiting()).values())
    reasons.set(why, (reasons.get(why) ?? 0) + 1);
  const waiting = [...reasons].map(([why, count]) => ({ why, count }));
  return { ready, waiting: waiting.sort((a, b) => b.count - a.count) };
}
