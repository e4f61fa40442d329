import { plainRecord, type Attributes, type FileRecord, type Ground } from '../core/ground.ts';
import { errnoNameOf, strerror } from '../core/errno.ts';
import { ctime, printed, refused, parseArguments, type CommandOutcome } from './text.ts';

const label = (name: string): string => `${name}:`.padEnd(22);
const yesNo = (value: boolean): string => (value ? 'yes' : 'no');

/** `mmlsattr`: the labelled form with -L, else the short one. */
export function mmlsattr(ground: Ground, args: readonly string[]): CommandOutcome {
  const { flags, rest } = parseArguments(args, new Set(['-n', '--get-attr']));
  if (rest.length === 0) return refused('mmlsattr', 1, 'mmlsattr: Missing arguments.');
  return collect('mmlsattr', rest, flags.has('-L') ? [] : shortHeading, (path) =>
    flags.has('-L') ? long(ground, path) : short(ground, path),
  );
}

const shortHeading = [
  '  replication factors',
  'metadata(max) data(max) file    [flags]',
  '------------- --------- ---------------',
];

function short(ground: Ground, path: string): readonly string[] {
  const of = attributesOf(ground, path);
  const counts = [
    of.metadataReplicas,
    of.maxMetadataReplicas,
    of.dataReplicas,
    of.maxDataReplicas,
  ].map((count) => String(count).padStart(3));
  const [m = '', maxM = '', d = '', maxD = ''] = counts;
  const flags = flagsOf(of);
  return [`    ${m} (${maxM}) ${d} (${maxD}) ${path}${flags === '' ? '' : `  [${flags}]`}`];
}

function long(ground: Ground, path: string): readonly string[] {
  const of = attributesOf(ground, path);
  const facts = ground.facts(path);
  const last =
    ground.personality.release === '4.1'
      ? [`${label('Windows attributes')}${facts.kind === 'directory' ? 'DIRECTORY' : ''}`]
      : [`${label('Misc attributes')}ARCHIVE`, `${label('Encrypted')}no`];
  return [
    `${label('file name')}${path}`,
    `${label('metadata replication')}${of.metadataReplicas} max ${of.maxMetadataReplicas}`,
    `${label('data replication')}${of.dataReplicas} max ${of.maxDataReplicas}`,
    `${label('immutable')}${yesNo(of.immutable)}`,
    `${label('appendOnly')}${yesNo(of.appendOnly)}`,
    `${label('flags')}${flagsOf(of)}`,
    `${label('storage pool name')}${of.pool}`,
    `${label('fileset name')}${ground.filesetOf(path)}`,
    label('snapshot name'),
    `${label('creation time')}${ctime(facts.bornMs)}`,
    ...last,
  ];
}

const flagsOf = (of: Attributes): string =>
  [of.illplaced ? 'illplaced' : '', of.directIo ? 'directio' : ''].filter(Boolean).join(',');

const attributesOf = (ground: Ground, path: string): Attributes =>
  recordOf(ground, path).attributes;

function recordOf(ground: Ground, path: string): FileRecord {
  const { inode } = ground.facts(path);
  return ground.record(inode) ?? plainRecord(inode);
}

/** `mmchattr`: silent when it succeeds. */
export function mmchattr(ground: Ground, args: readonly string[]): CommandOutcome {
  const { flags, rest } = parseArguments(args, takesValue);
  if (rest.length === 0) return refused('mmchattr', 1, 'mmchattr: Missing arguments.');
  const pool = flags.get('-P');
  if (pool !== undefined && !ground.pools.some(({ name }) => name === pool)) {
    return refused('mmchattr', 1, `mmchattr: Invalid storage pool name ${pool}.`);
  }
  return collect('mmchattr', rest, [], (path) => {
    const record = recordOf(ground, path);
    const attributes = changed(record.attributes, flags);
    const tooMany =
      attributes.dataReplicas > attributes.maxDataReplicas ||
      attributes.metadataReplicas > attributes.maxMetadataReplicas;
    if (tooMany) {
      throw Object.assign(new Error('too many replicas'), { code: 'EINVAL' });
    }
    ground.commit([{ do: 'put', record: { ...record, attributes } }]);
    return [];
  });
}

const takesValue = new Set([
  ...'-m -M -r -R -P -D -I -i -a --set-attr --delete-attr'.split(' '),
  '--write-affinity-depth',
  '--write-affinity-failure-group',
  '--block-group-factor',
]);

function changed(old: Attributes, flags: ReadonlyMap<string, string>): Attributes {
  const count = (flag: string, otherwise: number): number => {
    const value = flags.get(flag);
    return value === undefined ? otherwise : Number(value);
  };
  const flag = (name: string, otherwise: boolean): boolean => {
    const value = flags.get(name);
    return value === undefined ? otherwise : value === 'yes';
  };
  const pool = flags.get('-P') ?? old.pool;
  return {
    pool,
    metadataReplicas: count('-m', old.metadataReplicas),
    maxMetadataReplicas: count('-M', old.maxMetadataReplicas),
    dataReplicas: count('-r', old.dataReplicas),
    maxDataReplicas: count('-R', old.maxDataReplicas),
    immutable: flag('-i', old.immutable),
    appendOnly: flag('-a', old.appendOnly),
    directIo: flag('-D', old.directIo),
    // With `-I defer` the data stays in the old pool until a restripe.
    illplaced: flags.get('-I') === 'defer' ? old.illplaced || pool !== old.pool : false,
  };
}

/** Handles files one after the other: prints the lines of each success and the cause of each failure. */
function collect(
  name: string,
  files: readonly string[],
  heading: readonly string[],
  act: (path: string) => readonly string[],
): CommandOutcome {
  const lines: string[] = [];
  const causes: string[] = [];
  for (const file of files) {
    try {
      const shown = act(file);
      lines.push(...(lines.length === 0 && shown.length > 0 ? heading : []), ...shown);
    } catch (error) {
      causes.push(`${name}: ${file}: ${strerror(errnoNameOf(error))}`);
    }
  }
  const good = printed(lines);
  return causes.length === 0 ? good : { ...refused(name, 1, ...causes), stdout: good.stdout };
}
