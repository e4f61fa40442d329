import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { goModule } from '../support/tools/go-tool.ts';

const kubernetes = 'k8s.io/kubernetes@v1.37.2';
const snapshotter = 'github.com/kubernetes-csi/external-snapshotter/client/v8@v8.7.0';

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = Readonly<Record<string, Json>>;
type Definitions = Readonly<Record<string, JsonObject>>;

interface Kind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

const core = ['api__v1'];
const groups = [
  'admissionregistration.k8s.io',
  'apps',
  'batch',
  'networking.k8s.io',
  'policy',
  'rbac.authorization.k8s.io',
];
const stable = [...groups, 'storage.k8s.io'].map((group) => `apis__${group}__v1`);

/**
 * Writes a JSON schema for each kind of Kubernetes and of the snapshot CRDs, as kubeconform looks for
 * them, and tighter than the API server: an unknown field is refused.
 */
export async function writeSchemas(folder: string): Promise<void> {
  await Promise.all([writeKubernetes(folder), writeSnapshots(folder)]);
}

async function writeKubernetes(folder: string): Promise<void> {
  const source = join(await goModule(kubernetes), 'api/openapi-spec/v3');
  for (const name of [...core, ...stable]) {
    const text = await readFile(join(source, `${name}_openapi.json`), 'utf8');
    const strictText = text.replaceAll('"#/components/schemas/', '"#/definitions/');
    const api = JSON.parse(strictText) as {
      readonly components: { readonly schemas: Definitions };
    };
    const definitions = mapValues(api.components.schemas, (schema) => strict(schema) as JsonObject);
    for (const [title, schema] of Object.entries(definitions))
      for (const kind of kindsOf(schema)) {
        const needed = reachable(title, definitions);
        await writeSchema(folder, kind, { $ref: `#/definitions/${title}`, definitions: needed });
      }
  }
}

async function writeSnapshots(folder: string): Promise<void> {
  const source = join(await goModule(snapshotter), 'config/crd');
  const files = (await readdir(source)).filter((file) => /^(group)?snapshot\.storage/.test(file));
  for (const file of files) {
    const { spec } = parse(await readFile(join(source, file), 'utf8')) as Crd;
    for (const { name, schema } of spec.versions)
      await writeSchema(
        folder,
        { group: spec.group, version: name, kind: spec.names.kind },
        strict({
          ...schema.openAPIV3Schema,
          properties: { ...schema.openAPIV3Schema.properties, metadata: { type: 'object' } },
        }) as JsonObject,
      );
  }
}

interface Crd {
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string };
    readonly versions: readonly {
      readonly name: string;
      readonly schema: { readonly openAPIV3Schema: { readonly properties: JsonObject } };
    }[];
  };
}

const writeSchema = (folder: string, { group, version, kind }: Kind, schema: JsonObject) =>
  writeFile(
    join(
      folder,
      `${[kind, group.split('.')[0], version].filter(Boolean).join('-')}.json`.toLowerCase(),
    ),
    JSON.stringify(schema),
  );

/** Where kubeconform finds what writeSchemas wrote. */
export const schemaLocation = (folder: string): string =>
  join(folder, '{{.ResourceKind}}{{.KindSuffix}}.json');

const kindsOf = (schema: JsonObject): readonly Kind[] =>
  (schema['x-kubernetes-group-version-kind'] ?? []) as unknown as readonly Kind[];

/** The same schema, refusing fields that it does not name. */
function strict(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(strict);
  if (!isObject(schema)) return schema;
  const inner = mapValues(schema, strict);
  const open = 'additionalProperties' in schema || 'x-kubernetes-preserve-unknown-fields' in schema;
  return isObject(schema['properties']) && !open
    ? { ...inner, additionalProperties: false }
    : inner;
}

function reachable(title: string, definitions: Definitions): Definitions {
  const found = new Map<string, JsonObject>();
  const open = [title];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const schema = definitions[next];
    if (schema === undefined || found.has(next)) continue;
    found.set(next, schema);
    for (const [, to = ''] of JSON.stringify(schema).matchAll(/"#\/definitions\/([^"]+)"/g))
      open.push(to);
  }
  return Object.fromEntries(found);
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const mapValues = <A, B>(
  from: Readonly<Record<string, A>>,
  change: (value: A) => B,
): Record<string, B> =>
  Object.fromEntries(Object.entries(from).map(([key, value]) => [key, change(value)]));
