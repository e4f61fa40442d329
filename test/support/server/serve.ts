import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import type { Fields, Log } from '../../../src/observe/log.ts';
import {
  serveGrpc,
  type GrpcOptions,
  type GrpcServer,
} from '../../../src/server/transport/listen.ts';
import type { RequestDone } from '../../../src/server/call/report.ts';
import type { Services } from '../../../src/service/api.ts';
import { connectTo, type TestClient } from './client.ts';
import { memoryServices } from './services.ts';

/** A line of the log, with its fields. */
interface Line {
  readonly level: keyof Log;
  readonly fields: Fields;
  readonly message: string;
}

/** A log that keeps every line of every level. */
export function memoryLog(): { readonly log: Log; readonly lines: readonly Line[] } {
  const lines: Line[] = [];
  const at = (level: keyof Log) => (fields: Fields, message: string) => {
    lines.push({ level, fields, message });
  };
  return {
    log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
    lines,
  };
}

/** A folder that is gone after the test. */
export async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gpfs-csi-server-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A server with a client on it, both gone after the test. */
export interface Running {
  readonly path: string;
  readonly server: GrpcServer;
  readonly client: TestClient;
  readonly lines: readonly Line[];
  readonly done: readonly RequestDone[];
  /** Paths of sockets that the server reported as removed. */
  readonly vanished: readonly string[];
}

/** Serves these services on a socket of its own. */
export async function serving(
  services: Services = memoryServices().services,
  options: Partial<GrpcOptions> = {},
): Promise<Running> {
  const path = join(await scratch(), 'csi.sock');
  const { log, lines } = memoryLog();
  const done: RequestDone[] = [];
  const vanished: string[] = [];
  const server = await serveGrpc({
    services,
    log,
    endpoint: `unix://${path}`,
    limitMs: 10_000,
    onDone: (one) => done.push(one),
    onVanished: (taken) => vanished.push(taken),
    ...options,
  });
  const client = connectTo(path);
  onTestFinished(async () => {
    client.close();
    await server.close(0);
  });
  return { path, server, client, lines, done, vanished };
}

/** Waits until these expectations hold; a loaded machine may take its time. */
export const eventually = (expectations: () => void): Promise<void> =>
  vi.waitFor(expectations, { timeout: 30_000, interval: 5 });
