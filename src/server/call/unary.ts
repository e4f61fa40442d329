import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { handleUnaryCall, sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js';
import type { z } from 'zod';
import { DriverError } from '../../model/fault.ts';
import { inContext, noteInContext, withHiding } from '../../observe/context.ts';
import type { Log } from '../../observe/log.ts';
import {
  beginOnlyIfAwaited,
  patience,
  persist,
  withPatience,
} from '../../service/claims/patience.ts';
import type { Calls } from './calls.ts';
import { decode } from './decode.ts';
import type { LockKey, Locks } from './locks.ts';
import type { Message, MessageReader } from './message.ts';
import { namesIn } from './names.ts';
import { createReport, type Refusals, type Report, type RequestDone } from './report.ts';
import type { Room } from './room.ts';
import type { Sharing } from './sharing.ts';
import { answerFor } from './status.ts';

/** One RPC: how its request is decoded, which locks it takes, and what it does. */
interface Rpc<Request, Reply> {
  readonly name: string;
  readonly request: z.ZodType<Request>;
  readonly locks?: (request: Request) => readonly LockKey[];
  readonly handle: (request: Request) => Promise<Reply> | Reply;
  /** Called often by machines: its successes are logged at level debug. */
  readonly quiet?: boolean;
  /** It only reads, and that costs much: requests that ask the same at once share the answer. */
  readonly shared?: boolean;
}

/** Makes a handler that always answers, and only once. */
export type Unary = <Request, Reply>(rpc: Rpc<Request, Reply>) => handleUnaryCall<unknown, Reply>;

/** What all RPCs share. */
export interface UnaryOptions {
  readonly log: Log;
  readonly locks: Locks;
  readonly calls: Calls;
  readonly readers: ReadonlyMap<string, MessageReader>;
  readonly room: Room;
  readonly sharing: Sharing;
  readonly refusals: Refusals;
  /** A caller that set no deadline, or a later one, gets an answer after this many milliseconds. */
  readonly limitMs: number;
  readonly onDone?: ((done: RequestDone) => void) | undefined;
}

/** The one wrapper around every RPC: decode, context, lock, deadline, log, error table. */
export const createUnary =
  (options: UnaryOptions): Unary =>
  (rpc) =>
  (call, callback) => {
    inContext({ requestId: randomUUID(), rpc: rpc.name }, () => {
      serve(options, rpc, call, callback);
    });
  };

function serve<Request, Reply>(
  options: UnaryOptions,
  rpc: Rpc<Request, Reply>,
  call: ServerUnaryCall<unknown, Reply>,
  callback: sendUnaryData<Reply>,
): void {
  try {
    const admitted = admit(options, rpc.name, call.request as Message);
    noteInContext(namesIn(admitted.message));
    run(options, rpc, { call, callback, ...admitted });
  } catch (error) {
    callback(answerFor(error));
    options.refusals.note(rpc.name, error);
  }
}

/** A request that was let in: what its message says, and the room that it takes until its work has ended. */
interface Admitted {
  readonly message: unknown;
  readonly place: Disposable;
}

/** Weighs a message before it is built. Throws limit-reached and invalid-request. */
function admit({ readers, room }: UnaryOptions, name: string, request: Message): Admitted {
  const bytes = request.bytes ?? new Uint8Array();
  request.bytes = undefined;
  const reader = readers.get(name);
  if (!reader) throw new Error(`no message of ${name} is known`);
  using held = new DisposableStack();
  const place = held.use(room.enter(reader.weigh(bytes)));
  const message = reader.build(bytes);
  held.move();
  return { message, place };
}

interface Running<Reply> extends Admitted {
  readonly call: ServerUnaryCall<unknown, Reply>;
  readonly callback: sendUnaryData<Reply>;
}

function run<Request, Reply>(
  options: UnaryOptions,
  rpc: Rpc<Request, Reply>,
  { call, callback, message, place }: Running<Reply>,
): void {
  const report = createReport(options, rpc, message);
  const leftMs = timeLeft(call, options.limitMs);
  const waits = mayWait(call, leftMs);
  let answered = false;
  const answer = (error: unknown, reply: Reply | null): void => {
    // The caller has its answer or is gone; its operation ended later, and the log says how.
    if (answered) {
      report.late(error);
      return;
    }
    answered = true;
    clearTimeout(timer);
    waits.end();
    // The answer comes first: a log that cannot be written must not prevent it.
    send(callback, report, error, reply);
    report.done(error);
  };
  const stop = (): void => {
    if (!answered) answer(stillRunning(rpc.name), null);
  };
  const timer = setTimeout(stop, leftMs);
  // Also comes after each answer.
  call.once('cancelled', stop);
  const work = () => perform(options, rpc, message, report);
  // Deliberately independent of the call: a started operation finishes even when no caller waits for it.
  const running = options.calls.track(withPatience(waits.signal, work));
  const leave = (): void => {
    place[Symbol.dispose]();
  };
  running.then(leave, leave);
  running.then(
    (reply) => {
      answer(undefined, reply);
    },
    (error: unknown) => {
      answer(error ?? new Error('rejected without a reason'), null);
    },
  );
}

async function perform<Request, Reply>(
  { locks, sharing }: UnaryOptions,
  rpc: Rpc<Request, Reply>,
  message: unknown,
  report: Report,
): Promise<Reply> {
  const request = decode(rpc.request, message);
  const hide = (text: string) => report.forRecord(text);
  // What a server reads after it stood still may hold the cancellation of this call too, right behind the call.
  await nextTurn();
  // Under the locks, so that a request which lost a race against another server keeps its place.
  const work = () => withHiding(hide, () => persist(async () => rpc.handle(request)));
  if (rpc.shared === true) return sharing.ask(`${rpc.name} ${textOf(request)}`, patience(), work);
  using _held = await locks.take(rpc.locks?.(request) ?? [], patience());
  beginOnlyIfAwaited();
  return await work();
}

/** The same text for requests that ask the same. */
const textOf = (request: unknown): string =>
  JSON.stringify(request, (_, value: unknown) => (value instanceof Map ? [...value] : value));

/** Until when a request may wait for others: not for a caller that left, and so that the answer still gets out. */
function mayWait(
  call: ServerUnaryCall<unknown, unknown>,
  leftMs: number,
): { readonly signal: AbortSignal; end(): void } {
  const leave = new AbortController();
  const end = (): void => {
    clearTimeout(timer);
    leave.abort();
  };
  const timer = setTimeout(end, leftMs - Math.min(answerMs, leftMs / 10));
  call.once('cancelled', end);
  if (call.cancelled) end();
  return { signal: leave.signal, end };
}

function send<Reply>(
  callback: sendUnaryData<Reply>,
  report: Report,
  error: unknown,
  reply: Reply | null,
): void {
  if (error === undefined) {
    callback(null, reply);
    return;
  }
  const { code, details } = answerFor(error);
  callback({ code, details: report.forCaller(details) });
}

// The driver answers a little before the deadline: its message says what to do, and that of grpc-js does not.
const marginMs = 50;
// A request that waited undoes what it had announced, before it can say why it waited in vain.
const answerMs = 1000;
// setTimeout treats any longer time as 1 ms.
const longestTimerMs = 2 ** 31 - 1;

function timeLeft(call: ServerUnaryCall<unknown, unknown>, limitMs: number): number {
  const deadline = Number(call.getDeadline());
  const left = deadline - Date.now();
  return Math.max(0, Math.min(limitMs, longestTimerMs, left - Math.min(marginMs, left / 10)));
}

const stillRunning = (name: string): DriverError =>
  new DriverError(
    'unavailable',
    `${name} is still running past the time it was given; ask again, it will be finished`,
  );
