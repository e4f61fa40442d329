import { messageOf } from '../model/fault.ts';
import { join } from 'node:path';
import type { Log } from '../observe/log.ts';
import type { RegistrationHandlers } from '../wire/registration.ts';
import { createCalls } from './call/calls.ts';
import { checkedPath } from './transport/endpoint.ts';
import { loadRegistration } from './proto.ts';
import { serveOn, type Served } from './transport/served.ts';

/** How this driver makes itself known to the kubelet of its node. */
export interface RegistrationOptions {
  /** Where the kubelet looks for sockets. */
  readonly directory: string;
  /** The socket that serves CSI, by the path the kubelet sees it at. */
  readonly endpoint: string;
  readonly driverName: string;
  /** Why this node can never use a volume as it is now; undefined when it can, or will when GPFS is up. */
  readonly whyNot: () => Promise<string | undefined>;
  readonly log: Log;
  /** How often it is tried while the driver is not registered. */
  readonly everyMs?: number | undefined;
  readonly watchMs?: number | undefined;
}

/** The driver's offer to the kubelet, until it is taken back. */
export interface Registration {
  /** Has the kubelet ask this node anew; for a second or two it does not know the driver. */
  again(): void;
  /** The kubelet forgets the driver; volumes that are mounted stay as they are. */
  close(): Promise<void>;
}

/** Where the kubelet finds the driver of this name. Throws misconfigured when no socket can be there. */
export const registrationSocket = (directory: string, driverName: string): string =>
  checkedPath(join(directory, `${driverName}-reg.sock`));

/**
 * Offers the driver to the kubelet as soon as there is no reason against it, and then for good: a GPFS
 * that goes down later must not take from the kubelet who unmounts. An offer that somebody removed is
 * made again.
 */
export function keepRegistered(options: RegistrationOptions): Registration {
  const path = registrationSocket(options.directory, options.driverName);
  const tell = tellOnce(options.log, path);
  let served: Served | undefined;
  let ended = false;
  let last: Promise<void> = Promise.resolve();

  const attempt = async (): Promise<void> => {
    if (ended || served) return;
    const why = await options.whyNot();
    if (why === undefined) served = await offer(options, path, vanished);
    tell(why);
  };
  const next = (step: () => Promise<void> | undefined): void => {
    last = last.then(step).catch((error: unknown) => {
      tell(messageOf(error));
    });
  };
  // Another socket is another offer to the kubelet, which withdraws the first and asks the second.
  const again = (): void => {
    next(() => {
      const gone = served;
      served = undefined;
      return afterClosing(gone, attempt);
    });
  };
  const vanished = (): void => {
    options.log.warn({ path }, 'the registration socket was taken away; making it again');
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

/** Says why it does not go on, once for each reason. */
function tellOnce(log: Log, path: string): (why: string | undefined) => void {
  let told: string | undefined;
  return (why) => {
    if (why !== undefined && why !== told)
      log.warn({ why, path }, 'this node is not registered with the kubelet; trying again');
    told = why;
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
        // Of CSI, in the form in which the kubelet compares it.
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
