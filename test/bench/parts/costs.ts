import { asMount } from '../csi.ts';
import type { Bench, Cost, Found } from '../part.ts';
import type { Server } from '../server.ts';

/** Which processes the server starts for each call, by its own log. */
export function costs(bench: Bench): Promise<Found> {
  return bench.withServer(
    'costs',
    async (server) => {
      bench.say('processes of each call');
      const note = noter(server);
      const found = [...(await controllerCosts(server, note)), ...(await nodeCosts(server, note))];
      return { costs: found };
    },
    'debug',
  );
}

type Note = (what: string, call: () => Promise<unknown>) => Promise<Cost>;

// Commands are in the log before their call is answered.
const noter =
  (server: Server): Note =>
  async (what, call) => {
    const before = server.commands().length;
    await call();
    const all = server.commands().slice(before);
    const isMm = (name: string) => name.startsWith('mm');
    return { what, mm: all.filter(isMm), others: all.filter((name) => !isMm(name)) };
  };

async function controllerCosts({ csi }: Server, note: Note): Promise<readonly Cost[]> {
  const parameters = { dataReplicas: '1' };
  const id = await csi.create('source');
  const other = await csi.create('other');
  const snapshot = await csi.snapshot('before', id);
  return [
    await note('create', () => csi.create('a')),
    await note('create with attributes', () => csi.create('b', { parameters })),
    await note('snapshot', () => csi.snapshot('cut', id)),
    await note('restore', () => csi.create('c', { snapshot })),
    await note('restore with attributes', () => csi.create('d', { snapshot, parameters })),
    await note('clone', () => csi.create('e', { volume: other })),
    await note('clone, parent reused', () => csi.create('f', { volume: other })),
    await note('expand', () => csi.expand(id, 2n << 30n)),
    await note('publish (attach)', () => csi.publish(id)),
    await note('unpublish (detach)', () => csi.unpublish(id)),
    await note('capacity', () => csi.capacity()),
    await note('list', () => csi.list()),
    await note('delete snapshot with clones', () => csi.removeSnapshot(snapshot)),
    await note('delete volume with snapshots', () => csi.remove(id)),
  ];
}

async function nodeCosts({ csi, place }: Server, note: Note): Promise<readonly Cost[]> {
  const capability = asMount('ext4');
  const id = await csi.create('staged', { capability });
  await csi.publish(id, capability);
  const path = await place('staging');
  const target = `${await place('pod')}/mount`;
  const first = await note('node stage, first time', () => csi.stage(id, path, capability));
  await csi.unstage(id, path);
  return [
    first,
    await note('node stage, formatted', () => csi.stage(id, path, capability)),
    await note('node publish', () => csi.bind(id, path, target, capability)),
    await note('node unpublish', () => csi.unbind(id, target)),
    await note('node unstage', () => csi.unstage(id, path)),
  ];
}
