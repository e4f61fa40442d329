import {
  Client,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import { codeName } from '../../../src/server/call/status.ts';
import { loadCsi } from '../../../src/server/proto.ts';

const csi = loadCsi();

/** How a call ended: the name of its code, and either a reply or a message. */
interface Ended {
  readonly code: string;
  readonly details: string;
  readonly reply: unknown;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** A real client on a socket. */
export interface TestClient {
  /** An RPC by its name, of whichever service has it. */
  call(rpc: string, request: object, options?: { readonly deadlineMs?: number }): Promise<Ended>;
  /** The same with arbitrary bytes as the message; the reply stays bytes too. */
  raw(rpc: string, bytes: Uint8Array): Promise<Ended>;
  close(): void;
}

const served = [csi.Identity, csi.Controller, csi.GroupController, csi.Node];

/** All RPCs of the services that this driver knows of. */
export const rpcs: readonly string[] = served.flatMap(({ service }) => Object.keys(service));

function methodOf(rpc: string): MethodDefinition<object, unknown> {
  const found = served
    .map(({ service }) => (service as Record<string, MethodDefinition<object, unknown>>)[rpc])
    .find((method) => method !== undefined);
  if (!found) throw new Error(`no service has ${rpc}`);
  return found;
}

/** Connects to the socket at a path. */
export function connectTo(path: string): TestClient {
  const client = new Client(`unix:${path}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
    // Does not wait because another client failed to connect.
    'grpc.use_local_subchannel_pool': 1,
  });
  const send = <Message>(
    method: MethodDefinition<Message, unknown>,
    message: Message,
    deadlineMs = 20_000,
  ): Promise<Ended> =>
    new Promise((resolve) => {
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        message,
        new Metadata(),
        { deadline: Date.now() + deadlineMs },
        (error, reply) => {
          resolve(ended(error, reply));
        },
      );
    });
  return {
    call: (rpc, request, { deadlineMs } = {}) => send(methodOf(rpc), request, deadlineMs),
    raw: (rpc, bytes) => {
      const plain = { requestSerialize: () => Buffer.from(bytes), responseDeserialize: unread };
      return send({ ...methodOf(rpc), ...plain }, {}, 120_000);
    },
    close: () => {
      client.close();
    },
  };
}

const unread = (reply: Buffer): unknown => reply;

const ended = (error: ServiceError | null, reply: unknown): Ended => ({
  code: error ? codeName(error.code) : 'OK',
  details: error?.details ?? '',
  reply,
  metadata: error?.metadata.getMap() ?? {},
});
