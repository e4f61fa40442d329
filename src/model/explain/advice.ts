import type { DeviceFacts, Explanation, ObjectFacts } from './facts.ts';

/** Whether the facts give a reason for an advice, and the sentence then. */
type Adviser = (object: ObjectFacts, on: Pick<Explanation, 'node'>) => readonly string[];

/** What to do next, a sentence each. Nothing is advised where no fact asks for it. */
export const adviceFor: Adviser = (object, on) => advisers.flatMap((each) => each(object, on));

const wrongFile: Adviser = ({ file, record, kind }) => {
  if (!file || record.state !== 'ready') return [];
  if (file.inodeFound === undefined)
    return [
      `the file of this ${kind} is missing; run gpfs-csi doctor, and restore nothing over it`,
    ];
  if (file.inodeFound === file.inode) return [];
  return [
    `another file has the name of its file (inode ${file.inodeFound} instead of ${file.inode}); do not use it, run gpfs-csi doctor`,
  ];
};

const elsewhere: Adviser = ({ attachments, handle }, { node }) =>
  attachments
    .filter((each) => each.node !== node)
    .map(
      (each) =>
        `loop device, mounts and pods are known on node ${each.node} alone: run gpfs-csi explain ${handle} in the driver pod of that node, or kubectl gpfs explain`,
    );

const silentNode: Adviser = ({ attachments }) =>
  attachments
    .filter(({ alive }) => !alive)
    .map(
      ({ node }) =>
        `node ${node} has the volume, and its driver writes no heartbeat; see whether the node is up, and whether its driver pod runs`,
    );

const strandedMark: Adviser = ({ attachments, marks }) =>
  marks
    .filter(({ node, dead }) => !dead && !attachments.some((each) => each.node === node))
    .map(
      ({ node }) =>
        `node ${node} may still have the file open although the volume is not attached there; an attachment elsewhere cuts that node off, and a start of its driver clears the mark`,
    );

const halfDone: Adviser = ({ claims }) =>
  claims.flatMap(({ op, node, server }) => {
    if (server === 'silent')
      return [
        `the ${op} of node ${node} stands still because that driver is silent; bring the node back, or restart its driver pod`,
      ];
    return server === 'gone'
      ? [
          `the ${op} of node ${node} has no server any more; the next request for this object ends it`,
        ]
      : [];
  });

const lastFailure: Adviser = ({ history }) => {
  const last = history.at(-1);
  return last?.why === undefined || last.outcome === 'done'
    ? []
    : [
        `the last ${last.what} did not succeed: ${last.why}. docs/troubleshooting.md lists such sentences`,
      ];
};

const aboutDevices: Adviser = ({ here }) => (here?.devices ?? []).flatMap(deviceAdvice);

function deviceAdvice({ path, current, recorded, directIo }: DeviceFacts): readonly string[] {
  return [
    ...(current
      ? []
      : [
          `${path} has an older file of the volume: this node was cut off from it; delete its pods here, and the driver takes the device down`,
        ]),
    ...(recorded
      ? []
      : [
          `${path} is a device of this file that the driver did not attach; two devices on one file destroy a file system: find out who made it, and detach it`,
        ]),
    ...(directIo
      ? []
      : [
          `${path} works without direct I/O: it is slower, and unsynced data is lost with the node; gpfs-csi doctor says why`,
        ]),
  ];
}

const tombstone: Adviser = ({ kind, tree }) => {
  if (kind !== 'deleted snapshot' || !tree || tree.keptBy.length === 0) return [];
  return [
    `nothing is to be done: its file goes by itself when ${tree.keptBy.join(', ')} no longer read through it`,
  ];
};

const advisers: readonly Adviser[] = [
  wrongFile,
  halfDone,
  silentNode,
  strandedMark,
  lastFailure,
  aboutDevices,
  elsewhere,
  tombstone,
];
