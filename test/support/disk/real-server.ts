import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MethodDefinition } from '@grpc/proto-loader';
import { expect, inject } from 'vitest';
import type {
  ControllerDefinition,
  GroupControllerDefinition,
  IdentityDefinition,
  NodeDefinition,
} from '../../../src/wire/types.ts';
import { connectTo } from '../server/client.ts';

type Definitions = IdentityDefinition &
  ControllerDefinition &
  GroupControllerDefinition &
  NodeDefinition;
type Named<T> = { [K in keyof T as string extends K ? never : number extends K ? never : K]: T[K] };
/** All RPCs of the driver, typed as they are on the wire. */
export type Rpc = keyof Named<Definitions>;
type Wire<K extends Rpc> =
  Definitions[K] extends MethodDefinition<infer Request, object, object, infer Reply>
    ? { readonly request: Request; readonly reply: Reply }
    : never;
type Request<K extends Rpc> = Wire<K>['request'] & object;
type Reply<K extends Rpc> = Wire<K>['reply'];

/** How a call ended. */
export interface Answer<T> {
  readonly code: string;
  readonly details: string;
  readonly reply: T;
}

/** A driver in a process of its own. */
export interface RealServer {
  readonly node: string;
  readonly socket: string;
  readonly pid: number;
  call<K extends Rpc>(
    rpc: K,
    request: Request<K>,
    options?: { readonly deadlineMs?: number },
  ): Promise<Answer<Reply<K>>>;
  /** The reply of a call that must succeed; asks again while it is ABORTED, as the sidecars do. */
  ok<K extends Rpc>(rpc: K, request: Request<K>): Promise<Reply<K>>;
  /** `CODE message` of a call that must not succeed. */
  refused<K extends Rpc>(rpc: K, request: Request<K>): Promise<string>;
  /** All that it printed on standard error. */
  log(): string;
  signal(name: NodeJS.Signals): void;
  /** Sends the signal and resolves to the exit status; null when a signal ended it. */
  end(name?: NodeJS.Signals): Promise<number | null>;
}

/** What a server starts with. */
export interface ServeOptions {
  readonly node: string;
  readonly socket: string;
  readonly flags: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Mount points that this node does not have, in a mount namespace of its own. */
  readonly without?: readonly [string];
  /** A program of this machine, and the file that this node has in its place. */
  readonly instead?: readonly [program: string, by: string];
  /** Flags of Node, as the image gives it some. */
  readonly nodeFlags?: readonly string[];
}

const program = inject('program');
const compiled = inject('compiled');

/** A process of the command line, whose output is collected. */
export interface Process {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly err: () => string;
  readonly status: Promise<number | null>;
}

/** Starts the command line with these words; `within` is the command that starts it, if there is one. */
export function cli(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
  within: readonly string[] = [],
  nodeFlags: readonly string[] = [],
): Process {
  const inherited = Object.entries(process.env).filter(([key]) => !/^(?:GPFS_CSI_|CSI_)/.test(key));
  const [file = '', ...args] = [...within, process.execPath, ...nodeFlags, program, ...argv];
  const child = spawn(file, args, {
    env: { ...Object.fromEntries(inherited), NODE_COMPILE_CACHE: compiled, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const texts = { out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => (texts.out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (texts.err += chunk.toString()));
  const status = once(child, 'close').then(([code]) => code as number | null);
  return { child, out: () => texts.out, err: () => texts.err, status };
}

/** The command that starts a program in a mount namespace of its own: without a mount, or with another program. */
function apart({ without, instead }: Pick<ServeOptions, 'without' | 'instead'>): readonly string[] {
  const changed = (change: string, ...names: readonly string[]) => {
    const script = `${change} && shift ${names.length} && exec "$@"`;
    return ['unshare', '--mount', 'sh', '-c', script, 'sh', ...names];
  };
  if (without) return changed('umount "$1"', ...without);
  return instead ? changed('mount --bind "$2" "$1"', ...instead) : [];
}

/** Starts `gpfs-csi serve` and resolves once it listens. */
export async function startRealServer(options: ServeOptions): Promise<RealServer> {
  const { node, socket, flags } = options;
  const argv = Object.entries({ 'node-id': node, ...flags }).flatMap(([flag, value]) => [
    `--${flag}`,
    value,
  ]);
  const env = { CSI_ENDPOINT: `unix://${socket}`, ...options.env };
  const running = cli(['serve', ...argv], env, apart(options), options.nodeFlags);
  while (!running.err().includes('"message":"serving"')) {
    if (running.child.exitCode !== null)
      throw new Error(`the server of ${node} ended at its start:\n${running.err()}`);
    await sleep(10);
  }
  return serverOver(node, socket, running);
}

const longestMs = 60_000;

function serverOver(node: string, socket: string, running: Process): RealServer {
  const client = connectTo(socket);
  const call: RealServer['call'] = async (rpc, request, { deadlineMs = longestMs } = {}) => {
    const { code, details, reply } = await client.call(rpc, request, { deadlineMs });
    return { code, details, reply: reply as Reply<typeof rpc> };
  };
  return {
    node,
    socket,
    pid: running.child.pid ?? 0,
    call,
    ok: async (rpc, request) => {
      const until = Date.now() + longestMs;
      let answer = await call(rpc, request);
      while (answer.code === 'ABORTED' && Date.now() < until) {
        await sleep(20);
        answer = await call(rpc, request);
      }
      expect(`${rpc}: ${answer.code} ${answer.details}`).toBe(`${rpc}: OK `);
      return answer.reply;
    },
    refused: async (rpc, request) => {
      const { code, details } = await call(rpc, request);
      expect(code, rpc).not.toBe('OK');
      // CSI forbids an empty one.
      expect(details, rpc).not.toBe('');
      return `${code} ${details}`;
    },
    log: running.err,
    signal: (name) => running.child.kill(name),
    end: async (name = 'SIGTERM') => {
      running.child.kill(name);
      const status = await running.status;
      client.close();
      return status;
    },
  };
}
