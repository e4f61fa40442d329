import { setLogger, type ServiceDefinition } from '@grpc/grpc-js';
import type { MethodDefinition } from '@grpc/proto-loader';
import type { Log } from '../../observe/log.ts';
import type { Services } from '../../service/api.ts';
import { createCalls, type Calls } from '../call/calls.ts';
import { controllerHandlers } from '../rpc/controller.ts';
import { checkedPath, socketPath } from './endpoint.ts';
import { groupHandlers } from '../rpc/groups.ts';
import { identityHandlers } from '../rpc/identity.ts';
import { createLocks } from '../call/locks.ts';
import { nodeHandlers } from '../rpc/node.ts';
import { messageReader, type Message, type MessageReader } from '../call/message.ts';
import { loadInterface, type Csi, type CsiInterface, type Descriptor } from '../proto.ts';
import { createRefusals, type RequestDone } from '../call/report.ts';
import { createRoom, type RoomLimits } from '../call/room.ts';
import { createSharing } from '../call/sharing.ts';
import { serveOn, type Served, type Service } from './served.ts';
import { createUnary, type Unary } from '../call/unary.ts';
import type { WireLimits } from './reading.ts';

/** What the gRPC server is made from. */
export interface GrpcOptions {
  readonly services: Services;
  readonly log: Log;
  /** CSI_ENDPOINT: the socket of the kubelet. */
  readonly endpoint: string;
  /** The socket of the sidecars, if they have one: its path, and the group that they run with. */
  readonly controller?: { readonly path: string; readonly gid?: number | undefined } | undefined;
  /** After this many milliseconds the server answers that the caller must ask again; the operation continues. */
  readonly limitMs: number;
  /** Called for each request that was answered. */
  readonly onDone?: ((done: RequestDone) => void) | undefined;
  /** Called when a socket was removed or replaced. No caller can reach this process then; it should end with status 1. */
  readonly onVanished: (path: string) => void;
  /** Called when the last request of a crowd has ended. */
  readonly onQuiet?: (() => void) | undefined;
  /** What the requests of one socket may take. */
  readonly room?: RoomLimits | undefined;
  readonly wire?: WireLimits | undefined;
  /** How often to check for that, where inotify does not report it. */
  readonly watchMs?: number | undefined;
}

/** The socket of the sidecars. The file exists only while it is open. */
export interface ControllerSocket {
  open(): Promise<void>;
  close(graceMs: number): Promise<void>;
}

/** The running gRPC server. */
export interface GrpcServer {
  /** Undefined when the options name none. */
  readonly controller: ControllerSocket | undefined;
  /** How many calls run, those included whose caller has left. */
  running(): number;
  /** Removes both sockets and lets running calls finish; never takes much longer than `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** Serves CSI. Throws misconfigured when it cannot listen at a socket. */
export async function serveGrpc(options: GrpcOptions): Promise<GrpcServer> {
  routeGrpcLog(options.log);
  const path = socketPath(options.endpoint);
  const controllerPath = options.controller && checkedPath(options.controller.path);
  // One set of locks for both sockets, since both serve the same volumes.
  const locks = createLocks();
  const onMain = createCalls();
  const onController = createCalls();
  const sharing = createSharing();
  const refusals = createRefusals(options);
  const spoken = loadInterface();
  const readers = messageReaders(spoken);
  const open = (at: Place, calls: Calls) =>
    serveOn({
      ...at,
      calls,
      services: servicesOf(
        spoken.csi,
        options,
        createUnary({
          ...options,
          locks,
          calls,
          sharing,
          refusals,
          readers,
          room: createRoom(options.room, options.onQuiet),
        }),
        at,
      ),
      onVanished: () => {
        options.onVanished(at.path);
      },
      watchMs: options.watchMs,
      limits: options.wire,
    });
  const main = await open({ path, mode: 0o600, withNode: true }, onMain);
  const gid = options.controller?.gid;
  const controller =
    controllerPath === undefined
      ? undefined
      : switchable(() =>
          open({ path: controllerPath, mode: 0o660, gid, withNode: false }, onController),
        );
  return {
    controller,
    running: () => onMain.count() + onController.count(),
    close: async (graceMs) => {
      await Promise.all([main.close(graceMs), controller?.end(graceMs)]);
    },
  };
}

/** Where a socket is, and whether it serves the Node service. */
interface Place {
  readonly path: string;
  readonly mode: number;
  readonly gid?: number | undefined;
  readonly withNode: boolean;
}

function servicesOf(
  csi: Csi,
  { services }: GrpcOptions,
  unary: Unary,
  { withNode }: Pick<Place, 'withNode'>,
): Service[] {
  const both = [
    { definition: csi.Identity.service, handlers: identityHandlers(unary, services) },
    { definition: csi.Controller.service, handlers: controllerHandlers(unary, services) },
    { definition: csi.GroupController.service, handlers: groupHandlers(unary, services) },
  ];
  const node = { definition: csi.Node.service, handlers: nodeHandlers(unary, services) };
  return (withNode ? [...both, node] : both).map(({ definition, handlers }) => ({
    definition: unread(definition),
    handlers,
  }));
}

/** The same methods, whose requests come as bytes. The bytes of an answer that requests share are made once. */
const unread = (definition: ServiceDefinition): ServiceDefinition =>
  Object.fromEntries(
    Object.entries(definition).map(([name, method]) => [
      name,
      {
        ...method,
        requestDeserialize: (bytes: Buffer): Message => ({ bytes }),
        responseSerialize: onceEach(method.responseSerialize),
      },
    ]),
  );

function onceEach(serialize: (reply: object) => Buffer): (reply: object) => Buffer {
  const made = new WeakMap<object, Buffer>();
  return (reply) => {
    const bytes = made.get(reply) ?? serialize(reply);
    made.set(reply, bytes);
    return bytes;
  };
}

/** How the requests of each RPC are read. */
function messageReaders({ csi, message }: CsiInterface): ReadonlyMap<string, MessageReader> {
  const services = Object.values(csi).map(({ service }) => service);
  const methods = services.flatMap(
    (service) => Object.entries(service) as [string, MethodDefinition<object, object>][],
  );
  return new Map(
    methods.map(([name, { requestType, requestDeserialize }]) => [
      name,
      messageReader(requestType.type as Descriptor, message, requestDeserialize),
    ]),
  );
}

interface Switch extends ControllerSocket {
  /** Closes permanently: a later `open` does nothing. */
  end(graceMs: number): Promise<void>;
}

/** Runs `open` and `close` one after the other, however fast they are called. */
function switchable(serve: () => Promise<Served>): Switch {
  let served: Served | undefined;
  let ended = false;
  let last: Promise<void> = Promise.resolve();
  const next = (step: () => Promise<void>): Promise<void> => {
    last = last.then(step, step);
    return last;
  };
  const close = (graceMs: number): Promise<void> =>
    next(async () => {
      const closing = served;
      served = undefined;
      await closing?.close(graceMs);
    });
  return {
    open: () =>
      next(async () => {
        if (!ended) served ??= await serve();
      }),
    close,
    end: (graceMs) => {
      ended = true;
      return close(graceMs);
    },
  };
}

// By default grpc-js writes to the console; its lines belong in the driver's log.
function routeGrpcLog(log: Log): void {
  const to =
    (level: 'debug' | 'info' | 'error') =>
    (...words: unknown[]): void => {
      log[level]({ from: 'grpc-js' }, words.map(String).join(' '));
    };
  setLogger({ debug: to('debug'), info: to('info'), error: to('error') });
}
