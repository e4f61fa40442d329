import { AsyncLocalStorage } from 'node:async_hooks';
import type { ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import {
  ServerInterceptingCall,
  status,
  type Metadata,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import { DriverError } from '../../model/fault.ts';
import { commandPool, type CommandPool } from '../../run/limit.ts';
import { answerFor, type Answer } from '../call/status.ts';
import { roomLimits, tooManyRequests } from '../call/room.ts';

/** Bounds of one socket, before a request is read and after it was answered. */
export interface WireLimits {
  /** Connections; a new one is always taken, and the oldest without a request closed for it. */
  readonly connections: number;
  /** Requests of one connection; a client sends more only when some have ended. */
  readonly perConnection: number;
  /** Requests of all connections that have begun and not ended. */
  readonly open: number;
  /** Requests that are read at a time, the others wait. Most come in one piece with their header. */
  readonly reading: number;
  /** Lists that were sent and not yet taken by their callers, the others wait. */
  readonly answers: number;
  /** Frames that one request may come in. */
  readonly pieces: number;
  /** What the header of one request may hold, in characters. */
  readonly header: number;
  /** How long a request may take to come, and an answer to be taken. */
  readonly patienceMs: number;
}

/**
 * A kubelet opens a connection for each request, a sidecar keeps one. Messages have at most 256 KiB and a page of a
 * list about twice that, so what is on its way takes some 30 MiB at the worst.
 */
export const wireLimits: WireLimits = {
  connections: 256,
  perConnection: 256,
  open: roomLimits.requests,
  reading: 32,
  answers: 16,
  pieces: 512,
  header: 8192,
  patienceMs: 30_000,
};

/** One connection, with the number of its requests. */
export interface Connection {
  readonly socket: Socket;
  requests: number;
}

/** The connection that the running code serves: grpc-js does not tell a handler. */
export const connections = new AsyncLocalStorage<Connection>();

/** What the requests of one socket share. */
interface Wire {
  readonly limits: WireLimits;
  readonly reading: CommandPool;
  readonly answers: CommandPool;
  open: number;
}

/** Refuses requests beyond the limits before they are read, and hangs up on callers that stall. */
export function boundedCalls(limits: WireLimits): ServerInterceptor {
  const { open } = limits;
  const wire: Wire = {
    limits,
    reading: commandPool({ atOnce: limits.reading, queue: open }),
    answers: commandPool({ atOnce: limits.answers, queue: open }),
    open: 0,
  };
  return ({ path }, call) => boundedCall(wire, call, isList(path) ? wire.answers : undefined);
}

const isList = (path: string): boolean => path.includes('/List');

function boundedCall(
  wire: Wire,
  call: ServerInterceptingCallInterface,
  answers: CommandPool | undefined,
): ServerInterceptingCall {
  const stream = streamOf(call);
  const request = openRequest(wire);
  boundPieces(stream, wire.limits.pieces, request.hangUp);
  return new ServerInterceptingCall(call, {
    start: (next) => {
      next({
        onReceiveMetadata: (metadata, go) => {
          const refusal = request.begin(metadata);
          if (refusal) refuse(call, stream, answerFor(refusal));
          else
            request.turn(wire.reading, () => {
              request.limit(() => {
                refuse(call, stream, notArrived(wire.limits));
              });
              go(metadata);
            });
        },
        onReceiveMessage: (message, go) => {
          request.pass();
          go(message);
        },
        onReceiveHalfClose: (go) => {
          request.stopClock();
          go();
        },
        onCancel: request.end,
      });
    },
    sendMessage: (message, go) => {
      const send = (): void => {
        request.limit(request.hangUp);
        go(message);
      };
      if (answers) request.turn(answers, send);
      else send();
    },
  });
}

/** One request on its way: what it holds of the limits, given back at its end. */
interface OpenRequest {
  /** Why it is refused; undefined when it counts as open from now on. */
  begin(metadata: Metadata): Error | undefined;
  /** Calls `then` when it has its turn; never where the request ended before. */
  turn(pool: CommandPool, then: () => void): void;
  /** Gives its turn back. */
  pass(): void;
  readonly stopClock: () => void;
  /** Starts the clock: what takes longer is ended. */
  readonly limit: (stalled: () => void) => void;
  readonly hangUp: () => void;
  readonly end: () => void;
}

/** The stream under a call; grpc-js has no word for it, and nothing else that says when a request is over. */
function streamOf(call: object): ServerHttp2Stream | undefined {
  const stream: unknown = Reflect.get(call, 'stream');
  return stream instanceof Duplex ? (stream as ServerHttp2Stream) : undefined;
}

/** Answers a request that is not read. Its caller may never end its side, and the stream would stay with its header. */
function refuse(
  call: ServerInterceptingCallInterface,
  stream: ServerHttp2Stream | undefined,
  answer: Answer,
): void {
  call.sendStatus(answer);
  setImmediate(() => {
    if (stream?.closed === false) stream.close();
  });
}

/** Each piece is kept until the message is whole, and costs far more than a byte: a request of bytes is no request. */
function boundPieces(
  stream: ServerHttp2Stream | undefined,
  most: number,
  hangUp: () => void,
): void {
  let pieces = 0;
  // grpc-js has paused the stream, and a listener does not change that.
  stream?.on('data', () => {
    pieces += 1;
    if (pieces > most) hangUp();
  });
}

function openRequest(wire: Wire): OpenRequest {
  const { limits } = wire;
  const connection = connections.getStore();
  const ended = new AbortController();
  let slot: { release(): void } | undefined;
  const pass = (): void => {
    slot?.release();
    slot = undefined;
  };
  const { limit, stopClock } = clockOf(limits.patienceMs);
  return {
    begin: (metadata) => {
      if (wire.open >= limits.open) return tooManyRequests(limits.open);
      count(wire, connection, 1);
      ended.signal.addEventListener('abort', () => {
        count(wire, connection, -1);
      });
      return sizeOf(metadata) > limits.header ? tooLongHeader(limits.header) : undefined;
    },
    turn: (pool, then) => {
      pool.acquire(ended.signal).then(
        (taken) => {
          slot = taken;
          if (ended.signal.aborted) pass();
          else then();
        },
        () => undefined,
      );
    },
    pass,
    stopClock,
    limit,
    hangUp: () => connection?.socket.destroy(),
    end: () => {
      ended.abort();
      stopClock();
      pass();
    },
  };
}

function clockOf(ms: number): Pick<OpenRequest, 'limit' | 'stopClock'> {
  let timer: NodeJS.Timeout | undefined;
  return {
    limit: (stalled) => {
      timer = setTimeout(stalled, ms);
    },
    stopClock: () => {
      clearTimeout(timer);
    },
  };
}

function count(wire: Wire, connection: Connection | undefined, by: 1 | -1): void {
  wire.open += by;
  if (connection) connection.requests += by;
}

const sizeOf = (metadata: Metadata): number =>
  Object.entries(metadata.toJSON()).reduce(
    (sum, [key, values]) =>
      sum + values.reduce((length, value) => length + key.length + value.length, 0),
    0,
  );

const tooLongHeader = (most: number): DriverError =>
  new DriverError(
    { kind: 'invalid-request', field: '' },
    `the header of the request holds more than ${most} characters; send less metadata`,
  );

const notArrived = ({ patienceMs }: WireLimits): Answer => ({
  code: status.UNAVAILABLE,
  details: `the request did not come within ${patienceMs / 1000} seconds; send it again`,
});
