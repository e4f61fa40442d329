import type { ServiceHost } from '../host.ts';

/**
 * The same host for a command that people interrupt: once the signal fires, no further part of a volume is
 * allocated or copied, and what was begun is taken back as after any failure.
 */
export const stoppable = (host: ServiceHost, signal: AbortSignal): ServiceHost => ({
  ...host,
  turn: (fileSystem, work) =>
    host.turn(fileSystem, () => {
      signal.throwIfAborted();
      return work();
    }),
  allocate: (path, range) => {
    signal.throwIfAborted();
    return host.allocate(path, range);
  },
});
