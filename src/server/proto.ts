import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { DriverError } from '../model/fault.ts';
import type { ProtoGrpcType as RegistrationTypes } from '../wire/api.ts';
import type { ProtoGrpcType } from '../wire/csi.ts';

/** The five CSI services by name: `csi.Node.service` to serve one, `new csi.Node(…)` to call it. */
export type Csi = Pick<ProtoGrpcType['csi']['v1'], (typeof serviceNames)[number]>;

const serviceNames = [
  'Identity',
  'Controller',
  'GroupController',
  'SnapshotMetadata',
  'Node',
] as const;

// The types in src/wire are made with the same choices; see scripts/proto.mjs.
const choices = { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true };

/** A message type as protobuf describes it; only what the server reads of it. */
export interface Descriptor {
  readonly name: string;
  readonly field: readonly {
    readonly number: number;
    readonly type: string;
    readonly typeName: string;
  }[];
  readonly nestedType: readonly Descriptor[];
}

/** What the server needs of csi.proto: its services, and its message types by name. */
export interface CsiInterface {
  readonly csi: Csi;
  /** Undefined where there is none of this name. */
  readonly message: (name: string) => Descriptor | undefined;
}

/** Reads the interface from csi.proto, or from the file at `path`. Throws misconfigured when a service is missing. */
export function loadInterface(path = findProto('csi/v1/csi.proto')): CsiInterface {
  const definition = loadSync(path, choices);
  const { csi } = loadPackageDefinition(definition) as unknown as Partial<ProtoGrpcType>;
  const services: Partial<Csi> = csi?.v1 ?? {};
  const missing = serviceNames.filter((name) => services[name] === undefined);
  if (missing.length > 0) {
    throw new DriverError(
      'misconfigured',
      `${path} does not define the CSI service ${missing.join(', ')}; use the file that came with this driver`,
    );
  }
  const types = new Map<string, object>(Object.entries(csi?.v1 ?? {}));
  return {
    csi: Object.fromEntries(serviceNames.map((name) => [name, services[name]])) as unknown as Csi,
    message: (name) => (types.get(name) as { readonly type?: Descriptor } | undefined)?.type,
  };
}

/** The services alone. */
export const loadCsi = (path?: string): Csi => loadInterface(path).csi;

/** The service by which a driver registers with the kubelet. */
export function loadRegistration(): RegistrationTypes['pluginregistration']['Registration'] {
  const definition = loadSync(findProto('pluginregistration/v1/api.proto'), choices);
  const { pluginregistration } = loadPackageDefinition(definition) as unknown as RegistrationTypes;
  return pluginregistration.Registration;
}

// Beside the bundle, one folder up from dist/, two up from src/server/: the nearest one is used.
const places = ['./proto', '../proto', '../../proto'];

function findProto(name: string): string {
  const files = places.map((place) => fileURLToPath(new URL(`${place}/${name}`, import.meta.url)));
  const found = files.find((file) => existsSync(file));
  if (found !== undefined) return found;
  throw new DriverError(
    'misconfigured',
    `the interface ${name} is not in any of ${files.join(', ')}; install the driver together with its proto folder`,
  );
}
