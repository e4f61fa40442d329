import type { Ground } from '../core/ground.ts';
import { isMounted, type SimulatedRelease } from '../core/personality.ts';
import { encode, printed, refused, parseArguments, table, type CommandOutcome } from './text.ts';

/** Names of the one cluster that is simulated. */
const clusterName = 'simulated.gpfs';
const clusterId = '4200744107666200101';

const levels: Readonly<Record<SimulatedRelease, string>> = {
  '4.1': '4.1.0.4',
  '5.0': '5.0.4.0',
  '5.2': '5.2.1.0',
  '6.0': '6.0.0.2',
};
// `minReleaseLevel` was an integer before it became a dotted version.
const integers: Readonly<Record<SimulatedRelease, string>> = {
  '4.1': '1403',
  '5.0': '2200',
  '5.2': '3500',
  '6.0': '3800',
};

/** `mmgetstate`: reports a daemon that is down, and does not fail because of it. */
export function mmgetstate(ground: Ground, args: readonly string[]): CommandOutcome {
  const { flags } = parseArguments(args, new Set(['-N']));
  const { node, personality } = ground;
  if (!flags.has('-Y')) {
    return printed([
      ' Node number  Node name        GPFS state  ',
      '-------------------------------------------',
      `       1      ${node.padEnd(16)} ${personality.daemon}`,
    ]);
  }
  const up = personality.daemon === 'active' ? '1' : '0';
  const columns = 'nodeName nodeNumber state quorum nodesUp totalNodes remarks cnfsState'.split(
    ' ',
  );
  const cells = [node, '1', personality.daemon, '1', up, '1', 'quorum node', '(undefined)'];
  const { release } = personality;
  const extra = release === '4.1' ? [] : release === '5.0' ? ['daemonShortName'] : daemonNames;
  const row = [...cells, ...extra.map(() => encode(node))];
  return printed(table('mmgetstate', '', [...columns, ...extra], [row]));
}

const daemonNames = ['daemonShortName', 'daemonNodeName'];

/** `mmlsconfig`: reads the configuration, so it works while the daemon is down. */
export function mmlsconfig(ground: Ground, args: readonly string[]): CommandOutcome {
  const { flags, rest } = parseArguments(args, new Set());
  const known = parameters(ground);
  const asked =
    rest.length === 0 ? [...known.keys()].filter((key) => !key.endsWith('Ldaemon')) : [];
  const names = [...asked, ...rest.flatMap((name) => name.split(','))];
  if (flags.has('-Y')) {
    const rows = names.flatMap((name) => {
      const found = lookUp(known, name);
      return found ? [[found[0], encode(found[1]), '']] : [];
    });
    return printed(table('mmlsconfig', '', ['configParameter', 'value', 'nodeList'], rows));
  }
  const lines = names.map((name) => {
    const found = lookUp(known, name);
    return found ? `${found[0]} ${found[1]}` : `${name} (undefined)`;
  });
  if (rest.length > 0) return printed(lines);
  const title = `Configuration data for cluster ${clusterName}:`;
  return printed([title, '-'.repeat(title.length), ...lines]);
}

function lookUp(
  known: ReadonlyMap<string, string>,
  name: string,
): readonly [string, string] | undefined {
  const wanted = name.toLowerCase();
  return [...known].find(([key]) => key.toLowerCase() === wanted);
}

function parameters({ personality, node }: Ground): ReadonlyMap<string, string> {
  const { release } = personality;
  return new Map([
    ['clusterName', clusterName],
    ['clusterId', clusterId],
    ['autoload', 'yes'],
    ['minReleaseLevel', release === '4.1' ? integers[release] : levels[release]],
    // Kept under this name for programs that ask for the integer.
    ['minReleaseLeveldaemon', integers[release]],
    ['adminMode', 'central'],
    ['pagepool', '4294967296'],
    ['tscCmdAllowRemoteConnections', 'no'],
    ['quorumNode', node],
  ]);
}

const summaryColumns =
  'clusterName clusterId uidDomain rshPath rshSudoWrapper rcpPath rcpSudoWrapper repositoryType primaryServer secondaryServer'.split(
    ' ',
  );
const nodeColumns =
  'nodeNumber daemonNodeName ipAddress adminNodeName designation otherNodeRoles adminLoginName otherNodeRolesAlias'.split(
    ' ',
  );

/** `mmlscluster`: its `-Y` output has several HEADERs, most of them without a row. */
export function mmlscluster(ground: Ground, args: readonly string[]): CommandOutcome {
  const { node } = ground;
  if (!args.includes('-Y')) return printed(clusterForPeople(node));
  const summary = [clusterName, clusterId, clusterName, '/usr/bin/ssh', 'no', '/usr/bin/scp'];
  const roles = ['1', node, '10.0.0.1', node, 'quorumManager', 'Z', '', 'perfmon'];
  const more = ['cnfsSummary', 'cnfsNode', 'cesSummary', 'cesNode', 'cloudGatewayNode'];
  return printed([
    ...table('mmlscluster', 'clusterSummary', summaryColumns, []),
    ...table('mmlscluster', 'clusterNode', nodeColumns, []),
    ...more.flatMap((section) => table('mmlscluster', section, ['nodeNumber'], [])),
    rowOf('clusterSummary', [...summary, 'no', 'CCR', node, '']),
    rowOf('clusterNode', roles),
  ]);
}

const rowOf = (section: string, cells: readonly string[]): string =>
  `mmlscluster:${section}:0:1:::${cells.map(encode).join(':')}:`.replaceAll('%2F', '/');

function clusterForPeople(node: string): readonly string[] {
  const widths = [4, Math.max(16, node.length), 10, Math.max(15, node.length), 0];
  const row = (...cells: readonly string[]): string =>
    ` ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`;
  const heading = row('Node', 'Daemon node name', 'IP address', 'Admin node name', 'Designation');
  return [
    'GPFS cluster information',
    '========================',
    `  GPFS cluster name:         ${clusterName}`,
    `  GPFS cluster id:           ${clusterId}`,
    `  GPFS UID domain:           ${clusterName}`,
    '  Remote shell command:      /usr/bin/ssh',
    '  Remote file copy command:  /usr/bin/scp',
    '  Repository type:           CCR',
    '',
    heading,
    '-'.repeat(heading.length + 1),
    row('  1 ', node, '10.0.0.1', node, 'quorum-manager-perfmon'),
  ];
}

/** `mmlsmount`: how many nodes of the cluster have it mounted, not whether this node has. */
export function mmlsmount(ground: Ground, args: readonly string[]): CommandOutcome {
  const { flags, rest } = parseArguments(args, new Set(['-C']));
  const { device, node } = ground;
  if (!isDevice(ground, rest[0])) return unknownDevice('mmlsmount', rest[0]);
  if (!isMounted(ground.personality)) return printed([`File system ${device} is not mounted.`]);
  const counted = `File system ${device} is mounted on 1 nodes`;
  if (!flags.has('-L')) return printed([`${counted}.`]);
  return printed(['', `${counted}:`, `  10.0.0.1        ${node.padEnd(22)} ${clusterName}`]);
}

/** Whether a command line names this file system: by its name, as /dev/NAME, or all of them. */
export const isDevice = (ground: Ground, name: string | undefined): boolean =>
  name !== undefined &&
  [ground.device, `/dev/${ground.device}`, 'all', 'all_local', ...ground.aliases].includes(name);

/** How a command refuses a file system that the cluster does not have. */
export const unknownDevice = (command: string, name: string | undefined): CommandOutcome =>
  refused(
    command,
    1,
    `${command}: File system ${(name ?? '').replace(/^\/dev\//, '')} is not known to the GPFS cluster.`,
  );
