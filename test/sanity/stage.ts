import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { complete, type Context } from '../runner/command.ts';
import type { Outcome, Stage } from '../runner/stage.ts';

const sums = z.object({ passed: z.number(), failed: z.number() });

/** csi-sanity as a stage of `npm test`. */
export const sanityStage = (context: Context): Stage => ({
  name: 'csi-sanity',
  after: ['build'],
  run: async (live): Promise<Outcome> => {
    const summary = join(context.scratch, 'sanity.json');
    const argv = ['node', 'test/sanity/run.ts', '--summary', summary] as const;
    const { ok } = await complete(context, argv, { limitMs: 60 * 60_000, live });
    const text = await readFile(summary, 'utf8').catch(() => '{"passed":0,"failed":0}');
    const { passed, failed } = sums.parse(JSON.parse(text));
    // All its output was shown while it ran.
    return { passed, failed: failed + (!ok && failed === 0 ? 1 : 0), output: '' };
  },
});
