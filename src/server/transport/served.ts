import { setTimeout as sleep } from 'node:timers/promises';
import type { Socket } from 'node:net';
import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Calls } from '../call/calls.ts';
import { longestMessage } from '../call/message.ts';
import {
  boundedCalls,
  connections,
  wireLimits,
  type Connection,
  type WireLimits,
} from './reading.ts';
import { listenAt, type SocketOptions } from './socket.ts';

const grpcOptions = (limits: WireLimits) => ({
  'grpc.max_receive_message_length': longestMessage,
  'grpc.max_concurrent_streams': limits.perConnection,
  // Probes leave connections behind.
  'grpc.max_connection_idle_ms': 30 * 60 * 1000,
  'grpc.enable_channelz': 0,
  interceptors: [boundedCalls(limits)],
});

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
  readonly limits?: WireLimits | undefined;
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
  const { limits = wireLimits } = options;
  const server = new Server(grpcOptions(limits));
  for (const { definition, handlers } of options.services) server.addService(definition, handlers);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  // A set keeps the order in which its members came.
  const open = new Set<Connection>();
  const onConnection = (socket: Socket): void => {
    if (open.size >= limits.connections) closeOne(open);
    const connection: Connection = { socket, requests: 0 };
    open.add(connection);
    socket.once('close', () => open.delete(connection));
    connections.run(connection, () => {
      injector.injectConnection(socket);
    });
  };
  const listening = await listenAt({ ...options, onConnection });
  return {
    close: async (graceMs) => {
      listening.stop();
      // Asks clients to leave. Its callback is of no use: it may come before the replies are sent.
      server.tryShutdown(() => undefined);
      const finished = await within(graceMs, options.calls.idle());
      if (finished) await within(flushMs, allClosed(open));
      server.forceShutdown();
      for (const { socket } of open) socket.destroy();
    },
  };
}

/** Closes the oldest connection without a request, else the one with the most: a client cannot keep others out. */
function closeOne(open: Set<Connection>): void {
  const all = [...open];
  const one =
    all.find(({ requests }) => requests === 0) ??
    all.reduce((most, each) => (each.requests > most.requests ? each : most));
  // Not only once it is closed: a burst of new ones would all choose this one.
  open.delete(one);
  one.socket.destroy();
}

async function allClosed(open: ReadonlySet<Connection>): Promise<void> {
  await Promise.all(
    Array.from(open, ({ socket }) => new Promise((resolve) => socket.once('close', resolve))),
  );
}

async function within(ms: number, event: Promise<void>): Promise<boolean> {
  const limit = new AbortController();
  const timeout = sleep(ms, false, { signal: limit.signal }).catch(() => false);
  const happened = await Promise.race([event.then(() => true), timeout]);
  limit.abort();
  return happened;
}
