import type { Gpfs } from '../../gpfs/commands.ts';
import { MiB, counted, showBytes } from '../../model/bytes.ts';
import type { Check } from '../../model/audit/check.ts';
import { localIdOf } from '../../model/ids.ts';
import type { Clock } from '../../run/clock.ts';
import { goneAfterMs } from '../../store/nodes.ts';
import type { RootStore } from '../../store/root.ts';
import type { NodeFile } from '../../store/schema/root.ts';
import { check, inOrder } from './check.ts';

type Finding = Omit<Check, 'name'>;

/** Checks of an open root: its owner, its directories, its servers, its space. */
export const checkRootState = (
  { gpfs, clock }: { readonly gpfs: Gpfs; readonly clock: Clock },
  store: RootStore,
): Promise<readonly Check[]> =>
  inOrder(
    () => check('owner', () => owner(gpfs, store)),
    () => check('directories', () => directories(store)),
    () => check('servers', () => servers(store, clock)),
    () => check('space', () => space(store)),
    () => check('spare files', () => spareFiles(store)),
  );

async function owner(gpfs: Gpfs, { facts }: RootStore): Promise<string | Finding> {
  const { clusterId } = await gpfs.config();
  const whose = facts.owner === '' ? 'no Kubernetes cluster' : `Kubernetes cluster ${facts.owner}`;
  if (clusterId === facts.clusterId) return `root ${facts.rootId} belongs to ${whose}`;
  const says = `root.json is of GPFS cluster ${facts.clusterId}, and this is ${clusterId}; was the root copied here? use an empty directory`;
  return { status: 'failed', says };
}

async function directories(store: RootStore): Promise<string | readonly Finding[]> {
  const wrong: Finding[] = [];
  for (const path of store.layout.fixed) {
    const stat = await store.files.stat(path).catch(() => undefined);
    const why = whyUnsafe(stat);
    if (why !== undefined) wrong.push({ status: 'warning', says: `${path} ${why}`, object: path });
  }
  return wrong.length > 0 ? wrong : `${store.layout.fixed.length} directories, closed to others`;
}

function whyUnsafe(
  stat: { readonly kind: string; readonly mode: number; readonly uid: number } | undefined,
): string | undefined {
  if (!stat) return 'is not there; a server makes it at its start, and so does --repair';
  if (stat.kind !== 'directory') return `is a ${stat.kind}; move it away`;
  if (stat.uid !== 0) return `belongs to user ${stat.uid}; chown it to root`;
  return (stat.mode & 0o027) === 0 ? undefined : 'is open to others; chmod it to 0750';
}

async function servers(store: RootStore, clock: Clock): Promise<string | readonly Finding[]> {
  const nodes = await store.nodes.all();
  const seen = await Promise.all(
    nodes.map(async (node) => {
      const { modifiedMs } = await store.files.stat(store.layout.node(localIdOf(node.node)));
      return { node, agoMs: clock.now() - modifiedMs };
    }),
  );
  const versions = new Set(
    seen.filter(({ agoMs }) => agoMs < goneAfterMs).map(({ node }) => node.version),
  );
  const found = [
    ...seen.flatMap(({ node, agoMs }) => beat(node, agoMs)),
    ...twins(nodes),
    ...(versions.size > 1
      ? [
          note(
            `servers of ${versions.size} versions are running (${[...versions].sort().join(', ')}); end the upgrade`,
          ),
        ]
      : []),
  ];
  const alive = seen.filter(({ agoMs }) => agoMs < goneAfterMs).map(({ node }) => node.node);
  const says = alive.length > 0 ? `running on ${alive.sort().join(', ')}` : 'none is running';
  return found.length > 0 ? [note(says), ...found] : says;
}

const note = (says: string): Finding => ({ status: 'note', says });

/** How far two clocks may differ before a living server could be taken for a silent one. */
const clockMs = 10_000;

function beat({ node }: NodeFile, agoMs: number): readonly Finding[] {
  if (agoMs < -clockMs)
    return [
      {
        status: 'warning',
        says: `the clock of node ${node} is ${Math.round(-agoMs / 1000)} s ahead of this one; set both by NTP`,
        object: node,
      },
    ];
  if (agoMs < goneAfterMs) return [];
  return [
    {
      status: 'note',
      says: `node ${node} was last seen ${counted(Math.round(agoMs / 60_000), 'minute')} ago; if it is gone for good, remove ${node}.json in nodes/`,
      object: node,
    },
  ];
}

/** Machines installed from one image may share an id, and then a boot of one says nothing about the other. */
const twins = (nodes: readonly NodeFile[]): readonly Finding[] =>
  nodes.flatMap((a, n) =>
    nodes
      .slice(n + 1)
      .filter((b) => a.machineId === b.machineId && a.bootId !== b.bootId)
      .map((b) => ({
        status: 'warning' as const,
        says: `nodes ${a.node} and ${b.node} have one machine id; give each its own (systemd-machine-id-setup), or a lost node cannot be told from a rebooted one`,
        object: a.node,
      })),
  );

const share = (part: bigint, whole: bigint) => (whole === 0n ? 100 : Number((part * 100n) / whole));

async function space({ files, layout }: RootStore): Promise<string | readonly Finding[]> {
  const { total, available, inodes, inodesFree } = await files.space(layout.root);
  const low: Finding[] = [];
  const free = `${showBytes((available / MiB) * MiB)} (${share(available, total)}%)`;
  if (share(available, total) < 5)
    low.push({
      status: 'warning',
      says: `only ${free} are free; a full file system is an I/O error inside of volumes: add disks or delete something`,
    });
  if (share(inodesFree, inodes) < 5)
    low.push({
      status: 'warning',
      says: `only ${inodesFree} of ${inodes} inodes are free; raise them with mmchfileset --inode-limit`,
    });
  return low.length > 0 ? low : `${free} and ${inodesFree} inodes are free`;
}

async function spareFiles({ spares, layout, files }: RootStore): Promise<string | Finding> {
  const { there, of } = await spares.level();
  if (there === of) return `all ${of} are there, so a full file system can be emptied`;
  const { total, available, inodes, inodesFree } = await files.space(layout.root);
  const isLow = share(available, total) < 5 || share(inodesFree, inodes) < 5;
  return {
    status: isLow ? 'warning' : 'note',
    says:
      `${there} of ${of} are in ${layout.spare}; once all are used, nothing can be deleted while the file system is full: ` +
      (isLow
        ? "remove a file that is not the driver's or raise the limit, then a running server makes them again"
        : 'a running server makes them again'),
    object: layout.spare,
  };
}
