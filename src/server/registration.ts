import { messageOf } from '../model/fault.ts';
import { join } from 'node:path';
import type { Log } from '../observe/log.ts';
import type { RegistrationHandlers } from '../wire/registration.ts';
import { createCalls } from './call/calls.ts';
import { checkedPath } from './transport/endpoint.ts';
import { loadRegistration } from './proto.ts';
import { serveOn, type Served } from './transport/served.ts';

/** How this driver registers with the kubelet of its node. */
export interface RegistrationOptions {
  /** Where the kubelet looks for sockets. */
  readonly directory: string;
  /** The socket that serves CSI, by the path at which the kubelet sees it. */
  readonly endpoint: string;
  readonly driverName: string;
  /** Why this node cannot use any volume as it is set up now; undefined when it can, or will when GPFS is up. */
  readonly whyNot: () => Promise<string | undefined>;
  readonly log: Log;
  /** How often registration is tried while the driver is not registered. */
  readonly everyMs?: number | undefined;
  readonly watchMs?: number | undefined;
}

/** The driver's registration with the kubelet, until it is closed. */
export interface Registration {
  /** Makes the kubelet query this node again; for a second or two it does not know the driver. */
  again(): void;
  /** The kubelet forgets the driver; volumes that are mounted stay as they are. */
  close(): Promise<void>;
}

/** Where the kubelet finds the driver of this name. Throws misconfigured when no socket can be there. */
export const registrationSocket = (directory: string, driverName: string): string =>
  checkedPath(join(directory, `${driverName}-reg.sock`));

/**
 * Offers the driver to the kubelet as soon as `whyNot` gives no reason, and then permanently: also when GPFS goes
 * down later, the kubelet needs the driver to unmount. An offer that was removed is made again.
 */
export function keepRegistered(options: RegistrationOptions): Registration {
  const path = registrationSocket(options.directory, options.driverName);
  const warn = warnOnce(options.log, path);
  let served: Served | undefined;
  let ended = false;
  let last: Promise<void> = Promise.resolve();

  const attempt = async (): Promise<void> => {
    if (ended || served) return;
    const why = await options.whyNot();
    if (why === undefined) served = await offer(options, path, vanished);
    warn(why);
  };
  const next = (step: () => Promise<void> | undefined): void => {
    last = last.then(step).catch((error: unknown) => {
      warn(messageOf(error));
    });
  };
  // A new socket is a new offer: the kubelet withdraws the first one and queries the second.
  const again = (): void => {
    next(() => {
      const gone = served;
      served = undefined;
      return afterClosing(gone, attempt);
    });
  };
  const vanished = (): void => {
    options.log.warn({ path }, 'the registration socket is gone; creating it again');
    again();
  };

  const timer = setInterval(next, options.everyMs ?? 10_000, attempt).unref();
  next(attempt);
  return {
    again,
    close: async () => {
      ended = true;
      clearInterval(timer);
      await last;
      await served?.close(0);
    },
  };
}

async function afterClosing(gone: Served | undefined, work: () => Promise<void>): Promise<void> {
  await gone?.close(0);
  await work();
}

/** Logs why the driver is not registered, once for each reason. */
function warnOnce(log: Log, path: string): (why: string | undefined) => void {
  let last: string | undefined;
  return (why) => {
    if (why !== undefined && why !== last)
      log.warn({ why, path }, 'this node is not registered with the kubelet; trying again');
    last = why;
  };
}

async function offer(
  options: RegistrationOptions,
  path: string,
  onVanished: () => void,
): Promise<Served> {
  const served = await serveOn({
    path,
    mode: 0o600,
    calls: createCalls(),
    services: [{ definition: loadRegistration().service, handlers: handlersOf(options) }],
    onVanished,
    watchMs: options.watchMs,
  });
  const { endpoint, log } = options;
  log.info({ path, endpoint }, 'offered to the kubelet for registration');
  return served;
}

const handlersOf = ({ driverName, endpoint, log }: RegistrationOptions) =>
  ({
    GetInfo: (_call, reply) => {
      reply(null, {
        type: 'CSIPlugin',
        name: driverName,
        endpoint,
        // The version of CSI, in the form in which the kubelet compares it.
        supported_versions: ['1.0.0'],
      });
    },
    NotifyRegistrationStatus: ({ request }, reply) => {
      if (request.plugin_registered) log.info({ driverName }, 'registered with the kubelet');
      else
        log.error(
          { driverName, endpoint, reason: request.error },
          'the kubelet refused to register this driver; it will ask again',
        );
      reply(null, {});
    },
  }) satisfies RegistrationHandlers;
