import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { auditLog } from '../../e2e/cluster/control-plane.ts';
import type { Figure } from '../part.ts';

const line = z.object({
  verb: z.string(),
  requestReceivedTimestamp: z.string(),
  objectRef: z.object({ resource: z.string() }).optional(),
});

/** Requests of the sidecars to the API server between two moments, by what they ask for. */
export async function requests(fromMs: number, toMs: number): Promise<readonly Figure[]> {
  const text = await readFile(auditLog, 'utf8');
  const counts = new Map<string, number>();
  for (const each of text.split('\n').filter((one) => one.endsWith('}'))) {
    const { verb, requestReceivedTimestamp, objectRef } = line.parse(JSON.parse(each));
    const at = Date.parse(requestReceivedTimestamp);
    if (at < fromMs || at >= toMs) continue;
    const what = `${verb} ${objectRef?.resource ?? 'others'}`;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  const minutes = (toMs - fromMs) / 60_000;
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const rows = [...counts].toSorted(([, a], [, b]) => b - a);
  return [
    { what: 'API requests of all sidecars while idle', value: total / minutes, unit: 'per minute' },
    ...rows.map(([what, count]) => ({
      what: `of that ${what}`,
      value: count / minutes,
      unit: 'per minute',
    })),
  ];
}
