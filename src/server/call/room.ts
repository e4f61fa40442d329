import { DriverError } from '../../model/fault.ts';

/** How much the requests of one socket may take. */
export interface RoomLimits {
  /** Requests at work, those included whose caller has left. */
  readonly requests: number;
  /** What their messages take in memory together, in bytes. */
  readonly bytes: number;
}

/** Ten times what the sidecars of a cluster send at once; as messages they take a few MiB. */
export const roomLimits: RoomLimits = { requests: 1024, bytes: 16 * 1024 * 1024 };

/** Keeps the requests of one socket within its limits, so that one caller cannot use up the memory of the process. */
export interface Room {
  /** Lets a request in until it is disposed of. Throws limit-reached. */
  enter(bytes: number): Disposable;
}

/** A room, empty. `onQuiet` is called when the last request of a crowd has left. */
export function createRoom(limits: RoomLimits = roomLimits, onQuiet?: () => void): Room {
  let requests = 0;
  let taken = 0;
  let isCrowd = false;
  return {
    enter: (bytes) => {
      if (requests >= limits.requests) throw tooManyRequests(limits.requests);
      if (taken + bytes > limits.bytes) throw tooLarge(requests);
      requests += 1;
      taken += bytes;
      isCrowd ||= requests >= limits.requests / crowdShare || taken >= limits.bytes / crowdShare;
      return {
        [Symbol.dispose]: () => {
          requests -= 1;
          taken -= bytes;
          if (requests > 0 || !isCrowd) return;
          isCrowd = false;
          onQuiet?.();
        },
      };
    },
  };
}

/** From this part of the limit on, requests leave memory behind that is worth to be returned. */
const crowdShare = 8;

/** What a request hears that comes when as many as this are at work. */
export const tooManyRequests = (most: number): DriverError =>
  new DriverError(
    'limit-reached',
    `${most} requests of this socket are at work already; ask again later`,
  );

const tooLarge = (requests: number): DriverError =>
  new DriverError(
    'limit-reached',
    `the requests of this socket that are at work, ${requests} of them, take all the memory for them; ask again later`,
  );
