import { mmchattr, mmlsattr } from './attributes.ts';
import { mmgetstate, mmlscluster, mmlsconfig, mmlsmount } from './cluster.ts';
import {
  mmcrfileset,
  mmdelfileset,
  mmlinkfileset,
  mmlsfileset,
  mmunlinkfileset,
} from './filesets.ts';
import { mmlsfs, mmlspool } from './filesystem.ts';
import { mmlsquota } from './quota.ts';
import type { Ground } from '../core/ground.ts';
import { mmclone } from './mmclone.ts';
import type { SimulatedDaemonState } from '../core/personality.ts';
import { refused, type CommandOutcome } from './text.ts';

type Command = (ground: Ground, args: readonly string[]) => CommandOutcome;

// What a command needs before it can answer.
type Needs = 'configuration' | 'daemon';

interface Known {
  readonly needs: Needs;
  readonly act: Command;
}

const commands = {
  mmgetstate: { needs: 'configuration', act: mmgetstate },
  mmlsconfig: { needs: 'configuration', act: mmlsconfig },
  mmlscluster: { needs: 'configuration', act: mmlscluster },
  mmlsmount: { needs: 'daemon', act: mmlsmount },
  mmlsfs: { needs: 'daemon', act: mmlsfs },
  mmlspool: { needs: 'daemon', act: mmlspool },
  mmlsquota: { needs: 'daemon', act: mmlsquota },
  mmlsfileset: { needs: 'daemon', act: mmlsfileset },
  mmcrfileset: { needs: 'daemon', act: mmcrfileset },
  mmlinkfileset: { needs: 'daemon', act: mmlinkfileset },
  mmunlinkfileset: { needs: 'daemon', act: mmunlinkfileset },
  mmdelfileset: { needs: 'daemon', act: mmdelfileset },
  mmlsattr: { needs: 'daemon', act: mmlsattr },
  mmchattr: { needs: 'daemon', act: mmchattr },
  mmclone: { needs: 'daemon', act: mmclone },
} as const satisfies Record<string, Known>;

/** Names of all simulated commands. */
export const commandNames: readonly string[] = Object.keys(commands);

/** Runs one command. Undefined when there is no command of this name. */
export function runCommand(
  ground: Ground,
  name: string,
  args: readonly string[],
): CommandOutcome | undefined {
  if (!Object.hasOwn(commands, name)) return undefined;
  const known = commands[name as keyof typeof commands];
  const outcome = unusable(ground, name, known.needs) ?? known.act(ground, args);
  return quirks(ground, name, args, outcome);
}

/** Whether this personality makes the command hang. */
export const hangs = (ground: Ground, name: string): boolean =>
  ground.personality.hang.includes(name) || ground.personality.hang.includes('all');

function unusable(ground: Ground, name: string, needs: Needs): CommandOutcome | undefined {
  const { member, daemon } = ground.personality;
  if (!member) return refused(name, 1, `${name}: This node does not belong to a GPFS cluster.`);
  if (needs === 'configuration') return undefined;
  const causes = withoutDaemon(daemon, name);
  return causes.length === 0 ? undefined : refused(name, 1, ...causes);
}

function withoutDaemon(daemon: SimulatedDaemonState, name: string): readonly string[] {
  switch (daemon) {
    case 'active':
      return [];
    case 'arbitrating':
      return [`${name}: Failed to determine file system manager.`];
    case 'down':
    case 'unknown':
      return [
        'Failed to connect to file system daemon: No such process',
        `${name}: GPFS is down on this node.`,
      ];
  }
}

// Odd behaviour that was seen on some builds, and that callers must cope with.
function quirks(
  { personality }: Ground,
  name: string,
  args: readonly string[],
  outcome: CommandOutcome,
): CommandOutcome {
  const query = name.startsWith('mmls') || name.startsWith('mmget');
  const noise = personality.garbage && args.includes('-Y') && outcome.exitCode === 0;
  const stdout = noise ? `*** Report for simulated.gpfs ***\n${outcome.stdout}` : outcome.stdout;
  const exitCode = personality.zeroOnFailure && query ? 0 : outcome.exitCode;
  return { ...outcome, stdout, exitCode };
}
