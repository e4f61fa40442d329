import { isDevice, unknownDevice } from './cluster.ts';
import { filesetColumns, filesetCells } from './fileset-columns.ts';
import type { SimulatedFileset, Ground } from '../core/ground.ts';
import { noSpace } from '../core/personality.ts';
import { errnoNameOf, strerror } from '../core/errno.ts';
import { printed, refused, parseArguments, table, type CommandOutcome } from './text.ts';

type Work = (
  ground: Ground,
  rest: readonly string[],
  flags: ReadonlyMap<string, string>,
) => CommandOutcome;

const valued = new Set(['-J', '-t', '-p', '--inode-space', '--inode-limit']);

function onDevice(command: string, work: Work) {
  return (ground: Ground, args: readonly string[]): CommandOutcome => {
    const { flags, rest } = parseArguments(args, valued);
    const [device, ...more] = rest;
    if (!isDevice(ground, device)) return unknownDevice(command, device);
    return work(ground, more, flags);
  };
}

const named = (ground: Ground, name: string | undefined): SimulatedFileset | undefined =>
  ground.filesets().find((fileset) => fileset.name === name);

const missing = (ground: Ground, command: string, name: string | undefined): CommandOutcome =>
  refused(
    command,
    command === 'mmlsfileset' ? ground.personality.missingFileset : 22,
    `Fileset named ${name ?? ''} does not exist.`,
  );

/** `mmlsfileset`: lists all filesets, those named, or the one at a junction. */
export const mmlsfileset = onDevice('mmlsfileset', (ground, rest, flags) => {
  const all = ground.filesets();
  const names = rest.flatMap((list) => list.split(','));
  const absent = names.find((name) => !named(ground, name));
  if (absent !== undefined) return missing(ground, 'mmlsfileset', absent);
  const junction = flags.get('-J');
  if (junction !== undefined && !all.some((fileset) => fileset.junction === junction)) {
    return missing(ground, 'mmlsfileset', junction);
  }
  const shown = all.filter(
    (fileset) =>
      (names.length === 0 || names.includes(fileset.name)) &&
      (junction === undefined || fileset.junction === junction),
  );
  if (flags.has('-Y')) {
    const columns = filesetColumns(ground.personality.release);
    const rows = shown.map((fileset) => filesetCells(ground, fileset, columns));
    return printed(table('mmlsfileset', '', columns, rows));
  }
  return printed([
    `Filesets in file system '${ground.device}':`,
    'Name                     Status    Path                                    ',
    ...shown.map(({ name, junction: path }) =>
      [name.padEnd(24), (path === undefined ? 'Unlinked' : 'Linked').padEnd(9), path ?? '--']
        .join(' ')
        .padEnd(75),
    ),
  ]);
});

/** `mmcrfileset`: makes a fileset that is not linked yet. */
export const mmcrfileset = onDevice('mmcrfileset', (ground, [name], flags) => {
  if (name === undefined || !isFilesetName(name)) {
    return refused('mmcrfileset', 1, `mmcrfileset: Invalid fileset name ${name ?? ''}.`);
  }
  if (named(ground, name)) {
    return refused('mmcrfileset', 1, `Fileset name ${name} already exists.`);
  }
  const full = noSpace(ground.personality);
  if (full !== undefined) return refused('mmcrfileset', 1, `mmcrfileset: ${strerror(full)}`);
  const id = Math.max(...ground.filesets().map((fileset) => fileset.id)) + 1;
  const rootInode = ground.makeFilesetRoot(name);
  ground.putFileset({
    name,
    id,
    rootInode,
    junction: undefined,
    createdMs: ground.now(),
    comment: flags.get('-t') ?? '',
    independent: flags.get('--inode-space') === 'new',
  });
  return printed([`Fileset ${name} created with id ${id} root inode ${rootInode}.`]);
});

const isFilesetName = (name: string): boolean =>
  name.length >= 1 && name.length <= 255 && !/[/\s:]/.test(name) && !['root', 'new'].includes(name);

/** `mmlinkfileset`: links a fileset at its junction. */
export const mmlinkfileset = onDevice('mmlinkfileset', (ground, [name], flags) => {
  const fileset = named(ground, name);
  if (!fileset) return missing(ground, 'mmlinkfileset', name);
  if (fileset.junction !== undefined) {
    return refused('mmlinkfileset', 1, `Fileset ${fileset.name} is already linked.`);
  }
  const path = flags.get('-J') ?? `${ground.mountPoint}/${fileset.name}`;
  return attempt('mmlinkfileset', () => {
    ground.checkFree(path);
    ground.moveFilesetRoot(fileset.name, undefined, path);
    ground.putFileset({ ...fileset, junction: path });
    return `Fileset ${fileset.name} linked at ${path}`;
  });
});

/** `mmunlinkfileset`: unlinks a fileset by name, or by junction with -J. */
export const mmunlinkfileset = onDevice('mmunlinkfileset', (ground, [name], flags) => {
  const path = flags.get('-J');
  const fileset =
    path === undefined
      ? named(ground, name)
      : ground.filesets().find(({ junction }) => junction === path);
  if (!fileset || fileset.name === 'root') return missing(ground, 'mmunlinkfileset', name ?? path);
  const { junction } = fileset;
  if (junction === undefined) {
    return refused('mmunlinkfileset', 1, `Fileset ${fileset.name} is not linked.`);
  }
  return attempt('mmunlinkfileset', () => {
    ground.moveFilesetRoot(fileset.name, junction, undefined);
    ground.putFileset({ ...fileset, junction: undefined });
    return `Fileset ${fileset.name} unlinked.`;
  });
});

/** `mmdelfileset`: refuses a fileset that is linked, or that holds files (without -f). */
export const mmdelfileset = onDevice('mmdelfileset', (ground, [name], flags) => {
  const fileset = named(ground, name);
  if (!fileset || fileset.name === 'root') return missing(ground, 'mmdelfileset', name);
  if (fileset.junction !== undefined) {
    return refused('mmdelfileset', 1, `Fileset ${fileset.name} must be unlinked to be deleted.`);
  }
  if (!flags.has('-f') && !ground.isFilesetEmpty(fileset.name)) {
    return refused('mmdelfileset', 1, `Fileset ${fileset.name} is not empty.`);
  }
  ground.removeFilesetRoot(fileset.name);
  return printed([
    'Checking fileset ...',
    'Checking fileset complete.',
    'Deleting fileset ...',
    `Fileset ${fileset.name} deleted.`,
  ]);
});

function attempt(command: string, act: () => string): CommandOutcome {
  try {
    return printed([act()]);
  } catch (error) {
    return refused(command, 1, `${command}: ${strerror(errnoNameOf(error))}`);
  }
}
