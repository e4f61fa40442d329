import { performance } from 'node:perf_hooks';
import { status } from '@grpc/grpc-js';
import { DriverError } from '../../model/fault.ts';
import type { Fields, Log } from '../../observe/log.ts';
import { errorText, fitForLog, redacted, sensitiveIn, withoutSecrets } from './redact.ts';
import { answerFor, codeName } from './status.ts';

/** What is known of a request when its caller gets the answer; for metrics. */
export interface RequestDone {
  readonly rpc: string;
  /** The name of the gRPC code. */
  readonly code: string;
  readonly ms: number;
}

/** Reports one request: one line in the log, one sample in the metrics. */
export interface Report {
  done(error: unknown): void;
  /** Reports the end of work whose caller got an answer earlier. */
  late(error: unknown): void;
  /** The message without the secrets of this request. */
  forCaller(message: string): string;
  /** A text without the secrets and mount flags of this request, as a record may keep it. */
  forRecord(text: string): string;
}

interface ReportOptions {
  readonly log: Log;
  readonly onDone?: ((done: RequestDone) => void) | undefined;
}

/** Starts to measure one request. */
export function createReport(
  { log, onDone }: ReportOptions,
  rpc: { readonly name: string; readonly quiet?: boolean },
  request: unknown,
): Report {
  const started = performance.now();
  const sensitive = sensitiveIn(request);
  const facts = (error: unknown) => ({
    rpc: rpc.name,
    code: error === undefined ? codeName(status.OK) : codeName(answerFor(error).code),
    ms: Math.round((performance.now() - started) * 10) / 10,
  });
  const write = (error: unknown, outcome: string): void => {
    const fields: Fields = { ...facts(error), request: redacted(request) };
    if (error === undefined)
      log[rpc.quiet === true ? 'debug' : 'info'](fields, `request ${outcome}`);
    else {
      const text = errorText(error, { withStack: !(error instanceof DriverError) });
      log[levelOf(error)]({ ...fields, error: fitForLog(text, sensitive) }, `request ${outcome}`);
    }
  };
  return {
    done: (error) => {
      write(error, error === undefined ? 'done' : 'failed');
      onDone?.(facts(error));
    },
    late: (error) => {
      write(
        error,
        error === undefined
          ? 'done after its caller was answered'
          : 'failed after its caller was answered',
      );
    },
    forCaller: (message) => withoutSecrets(message, sensitive),
    forRecord: (text) => fitForLog(text, sensitive),
  };
}

/** Reports requests that were refused before they were read. */
export interface Refusals {
  note(rpc: string, error: unknown): void;
}

const refusalsMs = 1000;

/** One sample each in the metrics, and one line a second at most: a flood of requests must not become one of lines. */
export function createRefusals({ log, onDone }: ReportOptions): Refusals {
  let lastMs = -Infinity;
  let refused = 0;
  return {
    note: (rpc, error) => {
      onDone?.({ rpc, code: codeName(answerFor(error).code), ms: 0 });
      refused += 1;
      const now = performance.now();
      if (now - lastMs < refusalsMs) return;
      log[levelOf(error)](
        { rpc, refused, error: errorText(error, { withStack: !(error instanceof DriverError) }) },
        'requests refused',
      );
      lastMs = now;
      refused = 0;
    },
  };
}

// An internal error needs a developer; everything else is for the caller to act on.
const levelOf = (error: unknown): 'error' | 'warn' =>
  answerFor(error).code === status.INTERNAL ? 'error' : 'warn';
