import { z } from 'zod';
import { indentedColumns } from '../forest/columns.ts';
import { queueWords, ageWords, plainName } from '../forest/words.ts';

/** A text of another program: longer ones are cut. */
const text = (most: number) => z.string().transform((whole) => whole.slice(0, most));

const fleetNode = z.looseObject({
  node: text(253),
  version: text(64),
  instance: text(64).default(''),
  /** When its server started; undefined for one of an older version. */
  startedMs: z.number().optional(),
  seenMs: z.number(),
  /** `silent`: no heartbeat for so long that other servers take it for gone. */
  sign: z.enum(['living', 'silent']),
  attached: z.number(),
  maxVolumes: z.number(),
  /** What its server last found wrong; undefined where it has not said so, as one of an older version. */
  problems: z
    .array(z.looseObject({ what: text(64), says: text(400) }))
    .max(64)
    .optional(),
});

/** One server of a root, as it is known from what it left there. */
export type FleetNode = z.output<typeof fleetNode>;

const fleetRoot = z.looseObject({
  root: text(4096),
  /** Undefined where the root could not be read: `why` says so. */
  id: text(64).optional(),
  why: text(1000).optional(),
  nodes: z.array(fleetNode).max(10_000).default([]),
  queue: z
    .looseObject({
      ready: z.number(),
      waiting: z.array(z.looseObject({ why: text(400), count: z.number() })).max(1000),
    })
    .default({ ready: 0, waiting: [] }),
  /** Who asked what this GPFS allows, and when; undefined before the first probe. */
  probe: z
    .looseObject({
      node: text(253),
      probedMs: z.number(),
      complete: z.boolean().optional(),
      abilities: z.record(z.string(), z.boolean()).default({}),
    })
    .optional(),
});

/** One root, with the servers that use it. */
export type FleetRoot = z.output<typeof fleetRoot>;

/** What `gpfs-csi doctor --all-nodes --json` prints. */
export const fleetReport = z.looseObject({
  on: z.looseObject({ node: text(253), version: text(64) }),
  healthy: z.boolean(),
  roots: z.array(fleetRoot).max(1000),
});
export type FleetReport = z.output<typeof fleetReport>;

/** Whether every root could be read, and every server of it lives and found nothing wrong. */
export const isFleetHealthy = (roots: readonly FleetRoot[]): boolean =>
  roots.every(
    ({ why, nodes }) =>
      why === undefined &&
      nodes.every(({ sign, problems = [] }) => sign === 'living' && problems.length === 0),
  );

/** A root and its servers, as lines for a person. */
export function fleetText(root: FleetRoot, nowMs: number): readonly string[] {
  if (root.why !== undefined) return [`${plainName(root.root)}: ${plainName(root.why)}`];
  const title = `${plainName(root.root)} (root ${plainName(root.id ?? '?')}): ${countOf(root.nodes)}`;
  return [
    title,
    ...indentedColumns([heading, ...root.nodes.map((node) => cellsOf(node, nowMs))]),
    ...root.nodes.flatMap(saidBy),
    `  ${probeWords(root, nowMs)}`,
    ...queueWords(root.queue).map((line) => `  ${plainName(line)}`),
  ];
}

const heading = ['NODE', 'VERSION', 'STARTED', 'LAST SEEN', 'VOLUMES', 'FOUND'];

const cellsOf = (node: FleetNode, nowMs: number): readonly string[] => [
  plainName(node.node),
  plainName(node.version),
  node.startedMs === undefined ? '?' : ageWords(node.startedMs, nowMs),
  ageWords(node.seenMs, nowMs),
  `${node.attached}/${node.maxVolumes}`,
  foundBy(node),
];

function foundBy({ sign, problems }: FleetNode): string {
  if (sign === 'silent') return 'SILENT';
  if (problems === undefined) return '?';
  return problems.length === 0 ? 'nothing' : `${problems.length}, see below`;
}

const saidBy = ({ node, sign, problems = [] }: FleetNode): readonly string[] => [
  ...(sign === 'silent'
    ? [
        `  ${plainName(node)}: its server wrote no heartbeat lately; look at the pod and at GPFS there, and if the node is gone for good, remove its file in nodes/`,
      ]
    : []),
  ...problems.map(({ what, says }) => `  ${plainName(node)}: ${plainName(`${what}: ${says}`)}`),
];

function countOf(nodes: readonly FleetNode[]): string {
  const silent = nodes.filter(({ sign }) => sign === 'silent').length;
  const versions = new Set(nodes.map(({ version }) => version));
  const parts = [
    nodes.length === 1 ? '1 node' : `${nodes.length} nodes`,
    ...(silent > 0 ? [`${silent} silent`] : []),
    ...(versions.size > 1 ? [`versions ${[...versions].sort().map(plainName).join(', ')}`] : []),
  ];
  return parts.join(', ');
}

function probeWords({ probe }: FleetRoot, nowMs: number): string {
  if (!probe) return 'abilities: no server has probed this GPFS yet';
  const { node, probedMs, abilities } = probe;
  const not = Object.entries(abilities).flatMap(([name, can]) => (can ? [] : [plainName(name)]));
  const known = not.length === 0 ? 'nothing is refused' : `not allowed: ${not.join(', ')}`;
  return `abilities: probed by ${plainName(node)} ${ageWords(probedMs, nowMs)} ago; ${known}`;
}
