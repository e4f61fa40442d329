import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { DriverError } from '../model/fault.ts';
import type { Readiness } from '../service/api.ts';

/** What the HTTP port serves. */
export interface HttpOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly readiness: Readiness;
  /** The text of /metrics. */
  readonly metrics: () => string;
  /** How long /readyz waits for an answer. */
  readonly readyLimitMs?: number | undefined;
}

/** The running HTTP server. */
export interface HttpServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves /healthz, /readyz and /metrics. Throws misconfigured when it cannot listen on the port. */
export async function serveHttp(options: HttpOptions): Promise<HttpServer> {
  const server = createServer(listener(options));
  await listen(server, options);
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

const listen = (server: Server, { host, port }: HttpOptions): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(
        new DriverError(
          'misconfigured',
          `cannot listen on ${host} port ${port}: ${error.message}`,
          error,
        ),
      );
    });
    server.listen(port, host, resolve);
  });

const plain = 'text/plain; charset=utf-8';

interface Page {
  readonly code: number;
  readonly text: string;
  readonly type?: string;
}

const listener =
  (options: HttpOptions): RequestListener =>
  (request, response) => {
    pageFor(options, request).then(
      (page) => {
        show(response, page);
      },
      () => {
        show(response, { code: 500, text: 'internal error' });
      },
    );
  };

async function pageFor(options: HttpOptions, { method, url }: IncomingMessage): Promise<Page> {
  if (method !== 'GET' && method !== 'HEAD')
    return { code: 405, text: 'only GET is answered here' };
  switch (url?.split('?')[0] ?? '') {
    // A process that answers is alive. A GPFS that is down is no reason to restart it.
    case '/healthz':
      return { code: 200, text: 'ok' };
    case '/metrics':
      return {
        code: 200,
        text: options.metrics(),
        type: 'text/plain; version=0.0.4; charset=utf-8',
      };
    case '/readyz': {
      const why = await whyNotReady(options);
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
  response.end(text.endsWith('\n') ? text : `${text}\n`);
}
