import { equal, match, ok } from 'node:assert/strict';
import type { Case } from '../case.ts';
import { nodes } from '../cluster/node.ts';
import { claim, pod, snapshot, volumePath } from '../objects.ts';
import { patienceMs, until } from '../setup/wait.ts';

const [first, second] = nodes;
const file = `${volumePath}/file`;

/** What a person does in the first minutes with the driver. */
export const volumeCases: readonly Case[] = [
  {
    id: 'claim',
    says: 'a pod writes to a claim and reads it back',
    run: async (space) => {
      await space.apply(claim('a'), pod('writer', { claim: 'a' }));
      await space.reaches('pod/writer', '.status.phase', 'Running');
      await space.exec('writer', `echo written > ${file} && sync`);
      equal(await space.exec('writer', `cat ${file}`), 'written\n');
      match(await space.exec('writer', 'cat /proc/mounts'), /^\/dev\/loop\d+ \/volume /m);
    },
  },
  {
    id: 'snapshot',
    says: 'a snapshot, a restore of it and a clone each have the data of their moment',
    run: async (space) => {
      await space.apply(claim('a'), pod('writer', { claim: 'a' }));
      await space.reaches('pod/writer', '.status.phase', 'Running');
      await space.exec('writer', `echo one > ${file} && sync`);
      await space.apply(snapshot('s', 'a'));
      await space.reaches('volumesnapshot/s', '.status.readyToUse', 'true');
      await space.exec('writer', `echo two > ${file} && sync`);
      await space.apply(
        claim('restored', { from: { kind: 'VolumeSnapshot', name: 's' }, size: '2Gi' }),
        claim('cloned', { from: { kind: 'PersistentVolumeClaim', name: 'a' } }),
        pod('restored', { claim: 'restored' }),
        pod('cloned', { claim: 'cloned', node: second }),
      );
      await space.reaches('pod/restored', '.status.phase', 'Running');
      await space.reaches('pod/cloned', '.status.phase', 'Running');
      equal(await space.exec('restored', `cat ${file}`), 'one\n');
      equal(await space.exec('cloned', `cat ${file}`), 'two\n');
      ok((await sizeInPod(space, 'restored')) > 1.8 * 2 ** 30, 'the restored file system grew');
      await space.exec('restored', `echo three > ${file} && sync`);
      equal(await space.exec('writer', `cat ${file}`), 'two\n');
    },
  },
  {
    id: 'expand',
    says: 'a claim grows while a pod uses it',
    run: async (space) => {
      await space.apply(claim('a'), pod('user', { claim: 'a' }));
      await space.reaches('pod/user', '.status.phase', 'Running');
      await space.exec('user', `echo kept > ${file}`);
      ok((await sizeInPod(space, 'user')) < 1.1 * 2 ** 30);
      const wanted = { spec: { resources: { requests: { storage: '3Gi' } } } };
      await space.kubectl(['patch', 'pvc', 'a', '-p', JSON.stringify(wanted)]);
      await space.reaches('pvc/a', '.status.capacity.storage', '3Gi');
      ok((await sizeInPod(space, 'user')) > 2.8 * 2 ** 30, 'the file system grew');
      equal(await space.exec('user', `cat ${file}`), 'kept\n');
    },
  },
  {
    id: 'block',
    says: 'a raw block claim is a device of its size that keeps what is written',
    run: async (space) => {
      await space.apply(
        claim('a', { block: true }),
        pod('user', { claim: 'a', block: true, node: first }),
      );
      await space.reaches('pod/user', '.status.phase', 'Running');
      const size = await space.exec('user', `blockdev --getsize64 ${volumePath}`);
      equal(Number(size), 2 ** 30);
      const write = `echo written | dd of=${volumePath} bs=4096 count=1 conv=sync,fsync`;
      await space.exec('user', write);
      await space.remove('pod/user');
      await space.apply(pod('user', { claim: 'a', block: true, node: second }));
      await space.reaches('pod/user', '.status.phase', 'Running');
      equal(await space.exec('user', `head -c 8 ${volumePath}`), 'written\n');
    },
  },
  {
    id: 'move',
    says: 'a pod that starts again on the other node finds its data',
    run: async (space) => {
      await space.apply(claim('a'), pod('user', { claim: 'a', node: first }));
      await space.reaches('pod/user', '.status.phase', 'Running');
      await space.exec('user', `seq 100000 > ${file} && sync`);
      const sum = await space.exec('user', `md5sum < ${file}`);
      await space.remove('pod/user');
      await space.apply(pod('user', { claim: 'a', node: second }));
      await space.reaches('pod/user', '.status.phase', 'Running');
      equal(await space.exec('user', `md5sum < ${file}`), sum);
    },
  },
  {
    id: 'second-node',
    says: 'a ReadWriteOnce claim in use is refused to the other node, and given when it is free',
    run: async (space) => {
      await space.apply(claim('a'), pod('holder', { claim: 'a', node: first }));
      await space.reaches('pod/holder', '.status.phase', 'Running');
      await space.apply(pod('waiter', { claim: 'a', node: second }));
      await until('the event says why', patienceMs, async () =>
        /Multi-Attach|already used|FailedAttachVolume/.test(await space.events('pod/waiter')),
      );
      equal(await space.get('pod/waiter', '.status.phase'), 'Pending');
      await space.remove('pod/holder');
      await space.reaches('pod/waiter', '.status.phase', 'Running');
    },
  },
  {
    id: 'shared-block',
    says: 'a ReadWriteMany raw block claim is written on one node and read on the other',
    run: async (space) => {
      await space.apply(
        claim('a', { block: true, access: 'ReadWriteMany' }),
        pod('one', { claim: 'a', block: true, node: first }),
        pod('two', { claim: 'a', block: true, node: second }),
      );
      await space.reaches('pod/one', '.status.phase', 'Running');
      await space.reaches('pod/two', '.status.phase', 'Running');
      for (const [writer, reader, word] of [
        ['one', 'two', 'hello'],
        ['two', 'one', 'there'],
      ] as const) {
        const write = `echo ${word} | dd of=${volumePath} bs=4096 count=1 conv=sync oflag=direct`;
        await space.exec(writer, write);
        const read = `dd if=${volumePath} bs=4096 count=1 iflag=direct 2>/dev/null | head -c 5`;
        equal(await space.exec(reader, read), word);
      }
    },
  },
];

async function sizeInPod(space: Parameters<Case['run']>[0], pod: string): Promise<number> {
  const out = await space.exec(pod, `df -k ${volumePath} | tail -1`);
  return Number(out.trim().split(/\s+/)[1]) * 1024;
}
