import { setLogger } from '@grpc/grpc-js';
import type { Log } from '../../observe/log.ts';
import type { Services } from '../../service/api.ts';
import { createCalls, type Calls } from '../call/calls.ts';
import { controllerHandlers } from '../rpc/controller.ts';
import { checkedPath, socketPath } from './endpoint.ts';
import { groupHandlers } from '../rpc/groups.ts';
import { identityHandlers } from '../rpc/identity.ts';
import { createLocks } from '../call/locks.ts';
import { nodeHandlers } from '../rpc/node.ts';
import { loadCsi } from '../proto.ts';
import type { RequestDone } from '../call/report.ts';
import { serveOn, type Served, type Service } from './served.ts';
import { createUnary, type Unary } from '../call/unary.ts';

/** What the gRPC server is made from. */
export interface GrpcOptions {
  readonly services: Services;
  readonly log: Log;
  /** CSI_ENDPOINT: the socket of the kubelet. */
  readonly endpoint: string;
  /** The socket of the sidecars, if they have one: a path, and the group they run with. */
  readonly controller?: { readonly path: string; readonly gid?: number | undefined } | undefined;
  /** After this long a caller is told to ask again, while its operation goes on. */
  readonly limitMs: number;
  /** Called for each request that was answered. */
  readonly onDone?: ((done: RequestDone) => void) | undefined;
  /** A socket was taken from us: nobody can reach this process, so it should end with status 1. */
  readonly onVanished: (path: string) => void;
  /** How often to look for that where the kernel does not tell. */
  readonly watchMs?: number | undefined;
}

/** The socket of the sidecars. It is there only while it is open. */
export interface ControllerSocket {
  open(): Promise<void>;
  close(graceMs: number): Promise<void>;
}

/** The running gRPC server. */
export interface GrpcServer {
  /** Undefined when none was asked for. */
  readonly controller: ControllerSocket | undefined;
  /** Calls that run, those included whose caller has left. */
  running(): number;
  /** Both sockets go, running calls finish; it never takes much longer than `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** Serves CSI. Throws misconfigured when the socket cannot be had. */
export async function serveGrpc(options: GrpcOptions): Promise<GrpcServer> {
  routeGrpcLog(options.log);
  const path = socketPath(options.endpoint);
  const controllerPath = options.controller && checkedPath(options.controller.path);
  // One set of locks for both sockets: they lead to the same volumes.
  const locks = createLocks();
  const onMain = createCalls();
  const onController = createCalls();
  const open = (at: Place, calls: Calls) =>
    serveOn({
      ...at,
      calls,
      services: servicesOf(options, createUnary({ ...options, locks, calls }), at.withNode),
      onVanished: () => {
        options.onVanished(at.path);
      },
      watchMs: options.watchMs,
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

interface Place {
  readonly path: string;
  readonly mode: number;
  readonly gid?: number | undefined;
  readonly withNode: boolean;
}

function servicesOf({ services }: GrpcOptions, unary: Unary, withNode: boolean): Service[] {
  const csi = loadCsi();
  const both = [
    { definition: csi.Identity.service, handlers: identityHandlers(unary, services) },
    { definition: csi.Controller.service, handlers: controllerHandlers(unary, services) },
    { definition: csi.GroupController.service, handlers: groupHandlers(unary, services) },
  ];
  const node = { definition: csi.Node.service, handlers: nodeHandlers(unary, services) };
  return withNode ? [...both, node] : both;
}

interface Switch extends ControllerSocket {
  /** Closes for good: whoever still follows the state of the roots opens it no more. */
  end(graceMs: number): Promise<void>;
}

/** One after the other, however fast open and close are asked for. */
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

// grpc-js speaks to the console by itself; what it has to say belongs into our log.
function routeGrpcLog(log: Log): void {
  const to =
    (level: 'debug' | 'info' | 'error') =>
    (...words: unknown[]): void => {
      log[level]({ from: 'grpc-js' }, words.map(String).join(' '));
    };
  setLogger({ debug: to('debug'), info: to('info'), error: to('error') });
}
