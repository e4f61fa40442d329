import { chmodSync, chownSync, lstatSync, type BigIntStats } from 'node:fs';
import { lstat, unlink } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { DriverError } from '../../model/fault.ts';
import { errnoOf } from '../../run/files.ts';
import { watchInode } from './watch.ts';

/** A socket of this process on the file system. */
export interface SocketOptions {
  readonly path: string;
  readonly mode: number;
  /** The group that may connect; by default that of this process. */
  readonly gid?: number | undefined;
  readonly onConnection: (socket: Socket) => void;
  /** Called when the path no longer leads to this socket, so that callers cannot reach this process. */
  readonly onVanished: () => void;
  readonly watchMs?: number | undefined;
}

/** A listening socket. */
export interface Listening {
  /** Accepts no more connections, and removes the socket unless another process replaced it. */
  stop(): void;
}

/** Removes the socket that a dead process left at a path and listens there. Throws misconfigured when it cannot. */
export async function listenAt(options: SocketOptions): Promise<Listening> {
  await makeRoom(options.path);
  const server = createServer({ allowHalfOpen: false }, options.onConnection);
  await bind(server, options.path);
  const ours = own(options, server);
  const isOurs = (): boolean => {
    const now = statNow(options.path);
    return now?.ino === ours.ino && now.dev === ours.dev;
  };
  const watch = watchInode({
    path: options.path,
    isOurs,
    onVanished: options.onVanished,
    everyMs: options.watchMs ?? 10_000,
  });
  return {
    stop: () => {
      watch.stop();
      // close() unlinks the path, whichever process's socket is there now. When another process replaced the
      // socket, this one stays open instead and ends with the process.
      if (isOurs()) server.close();
      else server.unref();
    },
  };
}

async function makeRoom(path: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw cannotListen(path, error);
  });
  if (!found) return requireFolder(path);
  if (!found.isSocket())
    throw new DriverError(
      'misconfigured',
      `${path} exists and is not a socket; remove it, or choose another path`,
    );
  await refuseLiving(path);
  await unlink(path).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw cannotListen(path, error);
  });
}

/** Throws misconfigured where a process listens at a path. */
export async function refuseLiving(path: string): Promise<void> {
  if (!(await answers(path))) return;
  throw new DriverError(
    'misconfigured',
    `another instance is live on ${path}; stop it first, or choose another path`,
  );
}

async function requireFolder(path: string): Promise<void> {
  const folder = dirname(path);
  const found = await lstat(`${folder}/.`).catch(() => undefined);
  if (found?.isDirectory()) return;
  throw new DriverError(
    'misconfigured',
    `the folder ${folder} of the socket does not exist; create it`,
  );
}

// Only a refused connection proves that no process listens; a full queue, for example, belongs to a living one.
async function answers(path: string): Promise<boolean> {
  const error = await connectError(path);
  return !['ECONNREFUSED', 'ENOENT'].includes(errnoOf(error) ?? '');
}

/** Why no connection can be made; undefined when one was made. */
const connectError = (path: string): Promise<Error | undefined> =>
  new Promise((resolve) => {
    const probe = connect({ path });
    probe.once('error', resolve);
    probe.once('connect', () => {
      probe.destroy();
      resolve(undefined);
    });
  });

function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(cannotListen(path, error));
    });
    // listen() binds before it returns, so the socket never has a wider mode.
    const before = process.umask(0o177);
    try {
      server.listen({ path }, resolve);
    } finally {
      process.umask(before);
    }
  });
}

function own({ path, mode, gid }: SocketOptions, server: Server): BigIntStats {
  try {
    if (gid !== undefined) chownSync(path, -1, gid);
    chmodSync(path, mode);
    return lstatSync(path, { bigint: true });
  } catch (error) {
    server.close();
    throw cannotListen(path, error);
  }
}

// Synchronous, so that nothing happens between the check and the close. The folder is local, never on GPFS.
const statNow = (path: string): BigIntStats | undefined =>
  lstatSync(path, { bigint: true, throwIfNoEntry: false });

const cannotListen = (path: string, error: unknown): DriverError =>
  new DriverError(
    'misconfigured',
    `cannot listen on ${path} (${errnoOf(error) ?? 'unknown error'}); check the folder and its permissions`,
    error,
  );
