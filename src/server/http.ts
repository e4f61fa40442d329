import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { DriverError } from '../model/fault.ts';
import type { Readiness } from '../service/api.ts';
import { boundConnections, connectionLimits, type ConnectionLimits } from './connections.ts';

// An import would evaluate every export of the module, and one of them loads a client for the web that nothing needs.
const { createServer } = process.getBuiltinModule('node:http');

/** What the HTTP port serves. */
export interface HttpOptions {
  /** `::` is every address, of IPv4 as well; without IPv6 it is every address of IPv4. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly readiness: Readiness;
  /** The text of /metrics. */
  readonly metrics: () => string;
  /** How long /readyz waits for an answer. */
  readonly readyLimitMs?: number | undefined;
  readonly limits?: ConnectionLimits | undefined;
}

/** The running HTTP server. */
export interface HttpServer {
  readonly port: number;
  close(): Promise<void>;
}

/** How long one text of /metrics, and one answer of /readyz, is given to all who ask. */
const sharedMs = 1000;

/**
 * Serves /healthz, /readyz and /metrics, each connection one request at a time. Throws misconfigured when it cannot
 * listen on the port.
 */
export async function serveHttp(options: HttpOptions): Promise<HttpServer> {
  const limits = options.limits ?? connectionLimits;
  const server = createServer(
    {
      maxHeaderSize: 8192,
      headersTimeout: limits.answerMs,
      requestTimeout: limits.answerMs,
      connectionsCheckingInterval: limits.answerMs / 4,
    },
    oneAtATime(limits, listener(options)),
  );
  boundConnections(server, limits);
  await listenAnywhere(server, options);
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : options.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

/**
 * Ends a connection on which a request comes before the answer to the one before was sent, or on which an answer is
 * not read in time: answers that nobody reads would pile up in memory.
 */
function oneAtATime({ answerMs }: ConnectionLimits, answer: RequestListener): RequestListener {
  const busy = new WeakSet();
  return (request, response) => {
    const { socket } = request;
    if (busy.has(socket) || socket.destroyed) {
      socket.destroy();
      return;
    }
    busy.add(socket);
    const limit = setTimeout(() => {
      socket.destroy();
    }, answerMs);
    response.once('close', () => {
      clearTimeout(limit);
      busy.delete(socket);
    });
    answer(request, response);
  };
}

/** Listens; where this node has no IPv6, `::` means the addresses of IPv4. */
async function listenAnywhere(server: Server, options: HttpOptions): Promise<void> {
  try {
    await listen(server, options);
  } catch (error) {
    if (options.host !== '::' || !withoutIpv6(error)) throw error;
    await listen(server, { ...options, host: '0.0.0.0' });
  }
}

const withoutIpv6 = (error: unknown): boolean =>
  /EAFNOSUPPORT|EADDRNOTAVAIL/.test(error instanceof Error ? error.message : '');

const listen = (server: Server, { host, port }: HttpOptions): Promise<void> =>
  new Promise((resolve, reject) => {
    const refuse = (error: Error): void => {
      const what = `cannot listen on ${host} port ${port}: ${error.message}`;
      reject(new DriverError('misconfigured', what, error));
    };
    server.on('error', refuse);
    server.listen(port, host, resolve);
  });

/** What was made last, for as long as it is fresh; */
function shared<T>(make: () => T): () => T {
  let last: { readonly made: T; readonly at: number } | undefined;
  return () => {
    const now = performance.now();
    if (last === undefined || now - last.at >= sharedMs) last = { made: make(), at: now };
    return last.made;
  };
}

const plain = 'text/plain; charset=utf-8';

interface Page {
  readonly code: number;
  readonly text: string | Buffer;
  readonly type?: string;
}

/** What is made once a second at most, for all who ask. */
interface Answers {
  readonly metrics: () => Buffer;
  readonly whyNotReady: () => Promise<string | undefined>;
}

function listener(options: HttpOptions): RequestListener {
  const answers: Answers = {
    metrics: shared(() => Buffer.from(options.metrics())),
    whyNotReady: shared(() => whyNotReady(options)),
  };
  return (request, response) => {
    pageFor(answers, request).then(
      (page) => {
        show(response, page);
      },
      () => {
        show(response, { code: 500, text: 'internal error' });
      },
    );
  };
}

async function pageFor(answers: Answers, { method, url }: IncomingMessage): Promise<Page> {
  if (method !== 'GET' && method !== 'HEAD')
    return { code: 405, text: 'only GET is answered here' };
  switch (url?.split('?')[0] ?? '') {
    // A process that answers is alive. A GPFS that is down is no reason to restart it.
    case '/healthz':
      return { code: 200, text: 'ok' };
    case '/metrics':
      return {
        code: 200,
        text: answers.metrics(),
        type: 'text/plain; version=0.0.4; charset=utf-8',
      };
    case '/readyz': {
      const why = await answers.whyNotReady();
      return { code: why === undefined ? 200 : 503, text: why ?? 'ok' };
    }
    default:
      return { code: 404, text: 'there are /healthz, /readyz and /metrics' };
  }
}

async function whyNotReady({
  readiness,
  readyLimitMs = 5000,
}: HttpOptions): Promise<string | undefined> {
  try {
    const state = await Promise.race([
      readiness(),
      sleep(readyLimitMs, 'slow' as const, { ref: false }),
    ]);
    if (state === 'ready') return undefined;
    return state === 'starting' ? 'still starting' : 'the check of GPFS has not ended yet';
  } catch (error) {
    return error instanceof DriverError ? error.message : 'internal error';
  }
}

function show(response: ServerResponse, { code, text, type = plain }: Page): void {
  response.writeHead(code, { 'content-type': type });
  response.end(typeof text === 'string' && !text.endsWith('\n') ? `${text}\n` : text);
}
