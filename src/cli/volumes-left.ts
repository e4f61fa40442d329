import { hostname } from 'node:os';
import { counted } from '../model/bytes.ts';
import { accountDirectory, volumesOfDriver, type VolumeOfDriver } from './cluster/api.ts';
import { UsageError } from './command/config.ts';
import { parseFlags } from './command/flags.ts';
import { flagLines, readSettings, settingFlags, settingLines } from './command/settings.ts';
import type { Subcommand } from './command/subcommand.ts';

const names = ['driver-name'] as const;
const shown = 5;

/** `gpfs-csi volumes-left`: what `helm uninstall` asks first. */
export const volumesLeft: Subcommand = {
  summary: 'fail while Kubernetes has volumes of this driver; `helm uninstall` runs it first',
  help: [
    'usage: gpfs-csi volumes-left [flags]',
    '',
    'Runs in a pod whose account may list PersistentVolumes, and asks the API server.',
    'Exit status: 0 there is none of this driver, 1 there is one, or it is not known, 2 wrong usage.',
    '',
    ...flagLines([
      ['account-dir', `directory with token and ca.crt (default: ${accountDirectory})`],
    ]),
    ...settingLines(names),
  ].join('\n'),
  run: async (argv, { env, out, err }) => {
    const flags = { ...settingFlags(names), 'account-dir': 'value' } as const;
    const given = parseFlags({ command: 'volumes-left', flags, words: 0 }, argv);
    const own = new Map([...given.flags].filter(([name]) => name !== 'account-dir'));
    const { settings, problems } = readSettings(names, own, env, hostname());
    const wrong = [...given.problems, ...problems];
    if (wrong.length > 0 || !settings) throw new UsageError(wrong.join('\n'));
    const driver = settings['driver-name'];
    const left = await volumesOfDriver(driver, env, given.flags.get('account-dir'));
    if (left.length === 0) {
      out(`no PersistentVolume is of driver ${driver}`);
      return 0;
    }
    err(sentence(driver, left));
    return 1;
  },
};

function sentence(driver: string, left: readonly VolumeOfDriver[]): string {
  const some = left.slice(0, shown).map(({ name, claim }) => claim ?? name);
  const more = left.length > shown ? `, and ${left.length - shown} more` : '';
  return (
    `${counted(left.length, 'PersistentVolume is', 'PersistentVolumes are')} of driver ${driver} (${some.join(', ')}${more}), ` +
    'which nothing could use or delete without it; delete their claims first, or keep the volumes in their roots: ' +
    'helm uninstall --no-hooks, as docs/uninstall.md says'
  );
}
