import { isDevice, unknownDevice } from './cluster.ts';
import type { Ground } from '../core/ground.ts';
import { printed, refused, parseArguments, table, type CommandOutcome } from './text.ts';

const columns =
  'filesystemName quotaType id name blockUsage blockQuota blockLimit blockInDoubt blockGrace filesUsage filesQuota filesLimit filesInDoubt filesGrace remarks quota defQuota fid filesetname'.split(
    ' ',
  );

/** `mmlsquota -j FILESET DEVICE`: a fileset's limit and its use. Fails where quotas are not enforced. */
export function mmlsquota(ground: Ground, args: readonly string[]): CommandOutcome {
  const { flags, rest } = parseArguments(args, new Set(['-u', '-g', '-j']));
  const { device, personality } = ground;
  if (!isDevice(ground, rest[0])) return unknownDevice('mmlsquota', rest[0]);
  const name = flags.get('-j');
  const fileset = ground.filesets().find((each) => each.name === name);
  if (personality.filesetQuotaKiB === 0)
    return refused('mmlsquota', 22, 'No quota enabled file system found.');
  if (name === undefined || !fileset)
    return refused('mmlsquota', 22, `${name ?? ''}: no such fileset in quota enabled file systems`);
  const { filesetUsedKiB: used, filesetQuotaKiB: limit, filesetInDoubtKiB: inDoubt } = personality;
  const blocks = [used, limit, limit, inDoubt, 'none'].map(String);
  const files = ['1', '0', '0', '0', 'none'];
  const cells = [device, 'FILESET', String(fileset.id), name, ...blocks, ...files];
  if (flags.has('-Y')) {
    const section = personality.release === '6.0' ? 'user' : '';
    const row = [...cells, '', 'on', 'off', '', ''];
    return printed(table('mmlsquota', section, columns, [row]));
  }
  return printed([
    '                         Block Limits                                    |     File Limits',
    'Filesystem type             KB      quota      limit   in_doubt    grace |    files   quota    limit in_doubt    grace  Remarks',
    `${device} FILESET ${blocks.join(' ')} | ${files.join(' ')}`,
  ]);
}
