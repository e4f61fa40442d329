import { open, type FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { asBlock, fromSnapshot, remove, volumeRequest } from './csi.ts';
import type { RealServer } from './real-server.ts';
import { filesOnDisk, imageOnDisk } from './real-truth.ts';

const mebibyte = 2 ** 20;

/** Writes all of an image, as a pod on some node would; resolves to what detaches it. */
export async function overwrite(
  root: string,
  on: RealServer,
  volume_id: string,
  { text, mib }: { readonly text: string; readonly mib: number },
) {
  const where = { volume_id, node_id: on.node };
  await on.ok('ControllerPublishVolume', { ...where, volume_capability: asBlock() });
  await using file = await open(imageOnDisk(root, volume_id), 'r+');
  await put(file, text, mib);
  return () => on.ok('ControllerUnpublishVolume', where);
}

async function put(file: FileHandle, text: string, mib: number): Promise<void> {
  const chunk = Buffer.alloc(4 * mebibyte, text);
  for (let at = 0; at < mib; at += 4) await file.write(chunk, 0, chunk.length, at * mebibyte);
  await file.sync();
}

/** How many MiB of a file begin with each text. */
export async function lettersIn(
  file: FileHandle,
  mib: number,
): Promise<Readonly<Record<string, number>>> {
  const found: Record<string, number> = {};
  for (let at = 0; at < mib; at += 1) {
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at * mebibyte);
    const letter = buffer.toString('latin1');
    found[letter] = (found[letter] ?? 0) + 1;
  }
  return found;
}

/** The same for the file at a path. */
export async function lettersOf(path: string, mib: number) {
  await using file = await open(path);
  return await lettersIn(file, mib);
}

/** A request to fill a volume that stopped half way, with the server that it was sent to. */
export interface Stalled {
  readonly ask: ReturnType<typeof volumeRequest>;
  /** How the call ends once that server continues. */
  readonly lost: ReturnType<typeof create>;
  /** The file that was being filled. */
  readonly path: string;
}

/** Stops a server in the middle of copying a snapshot into a volume; asks until that moment is met. */
export async function stallInFill(
  root: string,
  server: RealServer,
  snapshot: string,
  mib: number,
): Promise<Stalled> {
  for (let attempt = 1; ; attempt += 1) {
    const id = `filled-${attempt}`;
    const thick = { parameters: { provisioning: 'thick' } };
    const ask = { ...volumeRequest(id, { from: fromSnapshot(snapshot) }), ...thick };
    const lost = create(server, ask);
    const path = await untilCopying(root, id);
    server.signal('SIGSTOP');
    if ((await lettersOf(path, mib))['\0'] !== undefined) return { ask, lost, path };
    server.signal('SIGCONT');
    await remove(server, { volumes: [(await lost).reply.volume?.volume_id ?? ''] });
  }
}

const create = (server: RealServer, ask: ReturnType<typeof volumeRequest>) =>
  server.call('CreateVolume', ask);

/** Waits until the first bytes of a volume are copied; resolves to the path of its file. */
async function untilCopying(root: string, id: string): Promise<string> {
  for (;;) {
    const path = filesOnDisk(root, 'volumes').find((each) => each.includes(`/${id}.`));
    if (path !== undefined && (await lettersOf(path, 1))['\0'] === undefined) return path;
    await sleep(1);
  }
}
