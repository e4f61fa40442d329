import type { Server, Socket } from 'node:net';

/** How many connections may be open, and how long each may take. */
export interface ConnectionLimits {
  /** Of all addresses together. */
  readonly total: number;
  /** Of one address. */
  readonly perAddress: number;
  /** How long one request may take from its first byte to the last of its answer. */
  readonly answerMs: number;
}

/** What a kubelet and two Prometheus servers never reach, and a process of 192 MiB carries with ease. */
export const connectionLimits: ConnectionLimits = { total: 32, perAddress: 8, answerMs: 10_000 };

/**
 * Bounds the connections of a server. A new connection is always taken, and the oldest one closed for it: a client
 * that holds many cannot keep out the kubelet, whose probe is answered in milliseconds.
 */
export function boundConnections(server: Server, limits: ConnectionLimits): void {
  // A set keeps the order in which its members came.
  const open = new Map<string, Set<Socket>>();
  server.on('connection', (socket) => {
    const address = socket.remoteAddress ?? '';
    const same = open.get(address) ?? new Set();
    open.set(address, same.add(socket));
    socket.once('close', () => {
      same.delete(socket);
      if (same.size === 0 && open.get(address) === same) open.delete(address);
    });
    if (same.size > limits.perAddress) closeOldest(same);
    if (count(open) > limits.total) closeOldest(largest(open));
  });
}

const count = (open: ReadonlyMap<string, ReadonlySet<Socket>>): number =>
  [...open.values()].reduce((sum, { size }) => sum + size, 0);

const largest = (open: ReadonlyMap<string, Set<Socket>>): Set<Socket> =>
  [...open.values()].reduce((one, other) => (other.size > one.size ? other : one));

function closeOldest(sockets: Set<Socket>): void {
  const [oldest] = sockets;
  if (oldest === undefined) return;
  sockets.delete(oldest);
  oldest.destroy();
}
