import { chmodSync, chownSync, lstatSync, type BigIntStats } from 'node:fs';
import { lstat, unlink } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { DriverError } from '../../model/fault.ts';
import { errnoOf } from '../../run/files.ts';
import { watchInode } from './watch.ts';

/** A socket on the file system that is ours. */
export interface SocketOptions {
  readonly path: string;
  readonly mode: number;
  /** The group that may connect; ours when absent. */
  readonly gid?: number | undefined;
  readonly onConnection: (socket: Socket) => void;
  /** The path no longer leads to our socket: nobody can reach us any more. */
  readonly onVanished: () => void;
  readonly watchMs?: number | undefined;
}

/** A listening socket. */
export interface Listening {
  /** Takes no more connections, and removes the socket if it is still ours. */
  stop(): void;
}

/** Listens at a path, after what a dead process left there is removed. Throws misconfigured when it cannot. */
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
      // Closing unlinks by path, whoever's socket is there by now. One that was taken over is left
      // open instead; it goes when the process does.
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
  if (await answers(path))
    throw new DriverError(
      'misconfigured',
      `another instance is live on ${path}; stop it first, or choose another path`,
    );
  await unlink(path).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw cannotListen(path, error);
  });
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

// Only a refused connection proves that nobody listens; a full queue, say, belongs to a living process.
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error) => {
      resolve(!['ECONNREFUSED', 'ENOENT'].includes(errnoOf(error) ?? ''));
    });
  });
}

function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(cannotListen(path, error));
    });
    // listen() binds before it returns, so that the socket is never there with a wider mode.
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

// Synchronous, so that nothing comes between the look and the close. The folder is local, never GPFS.
const statNow = (path: string): BigIntStats | undefined =>
  lstatSync(path, { bigint: true, throwIfNoEntry: false });

const cannotListen = (path: string, error: unknown): DriverError =>
  new DriverError(
    'misconfigured',
    `cannot listen on ${path} (${errnoOf(error) ?? 'unknown error'}); check the folder and its permissions`,
    error,
  );
