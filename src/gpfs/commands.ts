import type { Run } from '../run/run.ts';
import { translated } from './failures.ts';
import { mmclone, type CloneCommands } from './mmclone.ts';
import { mmchattr } from './mmchattr.ts';
import { mmgetstate } from './mmgetstate.ts';
import { mmlsattr } from './mmlsattr.ts';
import { mmlsconfig } from './mmlsconfig.ts';
import { mmlsfileset } from './mmlsfileset.ts';
import { mmlsfs } from './mmlsfs.ts';
import { mmlspool } from './mmlspool.ts';
import { mmlsquota } from './mmlsquota.ts';

/** Everything the driver asks of GPFS through its commands. All of it rejects with DriverError. */
export interface Gpfs {
  readonly clone: CloneCommands;
  readonly state: ReturnType<typeof mmgetstate>;
  readonly config: ReturnType<typeof mmlsconfig>;
  readonly fs: ReturnType<typeof mmlsfs>;
  readonly pools: ReturnType<typeof mmlspool>;
  readonly attributes: ReturnType<typeof mmlsattr>;
  readonly setAttributes: ReturnType<typeof mmchattr>;
  readonly fileset: ReturnType<typeof mmlsfileset>;
  readonly quota: ReturnType<typeof mmlsquota>;
}

/** GPFS through a Run that knows where mm commands are. */
export function gpfsCommands(run: Run): Gpfs {
  const checked = translated(run);
  return {
    clone: mmclone(checked),
    state: mmgetstate(checked),
    config: mmlsconfig(checked),
    fs: mmlsfs(checked),
    pools: mmlspool(checked),
    attributes: mmlsattr(checked),
    setAttributes: mmchattr(checked),
    fileset: mmlsfileset(checked),
    quota: mmlsquota(checked),
  };
}
