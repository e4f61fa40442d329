import { setTimeout as sleep } from 'node:timers/promises';
import type { Socket } from 'node:net';
import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Calls } from '../call/calls.ts';
import { listenAt, type SocketOptions } from './socket.ts';

const mebibyte = 1024 * 1024;

const grpcOptions = {
  'grpc.max_receive_message_length': 4 * mebibyte,
  // Probes leave connections behind.
  'grpc.max_connection_idle_ms': 30 * 60 * 1000,
  'grpc.enable_channelz': 0,
};

/** A service and its handlers. */
export interface Service {
  readonly definition: ServiceDefinition;
  readonly handlers: UntypedServiceImplementation;
}

/** What one socket serves. */
export interface ServedOptions extends Omit<SocketOptions, 'onConnection'> {
  readonly services: readonly Service[];
  /** The calls that arrive at this socket. */
  readonly calls: Calls;
}

/** One socket with its gRPC server. */
export interface Served {
  /** Removes the socket at once and lets running calls finish, for at most `graceMs`. */
  close(graceMs: number): Promise<void>;
}

// Time for replies on their way; a connection that is not HTTP/2 never ends by itself.
const flushMs = 1000;

/**
 * Serves on one socket. It is a net.Server that hands its connections to grpc-js. So the driver decides whether
 * closing may unlink the path, and can end connections that grpc-js does not know of.
 */
export async function serveOn(options: ServedOptions): Promise<Served> {
  const server = new Server(grpcOptions);
  for (const { definition, handlers } of options.services) server.addService(definition, handlers);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const sockets = new Set<Socket>();
  const onConnection = (socket: Socket): void => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    injector.injectConnection(socket);
  };
  const listening = await listenAt({ ...options, onConnection });
  return {
    close: async (graceMs) => {
      listening.stop();
      // Asks clients to leave. Its callback is of no use: it may come before the replies are sent.
      server.tryShutdown(() => undefined);
      const finished = await within(graceMs, options.calls.idle());
      if (finished) await within(flushMs, allClosed(sockets));
      server.forceShutdown();
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function allClosed(sockets: ReadonlySet<Socket>): Promise<void> {
  await Promise.all(
    Array.from(sockets, (socket) => new Promise((resolve) => socket.once('close', resolve))),
  );
}

async function within(ms: number, event: Promise<void>): Promise<boolean> {
  const limit = new AbortController();
  const timeout = sleep(ms, false, { signal: limit.signal }).catch(() => false);
  const happened = await Promise.race([event.then(() => true), timeout]);
  limit.abort();
  return happened;
}
