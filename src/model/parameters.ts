import { invalid } from './fault.ts';

/** What a storage class may say, decoded; absent means the root's or GPFS's default. */
export interface ClassParameters {
  /** Path of a configured root. */
  readonly root?: string;
  readonly attributes: FileAttributes;
}

/** What mmchattr sets on a data file. */
export interface FileAttributes {
  readonly pool?: string | undefined;
  readonly dataReplicas?: number | undefined;
  readonly metadataReplicas?: number | undefined;
}

/** Prefix of what the Kubernetes sidecars add of their own accord. */
const sidecarPrefix = 'csi.storage.k8s.io/';

const known = ['root', 'pool', 'dataReplicas', 'metadataReplicas'] as const;

/** Decodes class parameters. Throws invalid-request naming a key we do not know or cannot use. */
export function classParameters(parameters: ReadonlyMap<string, string>): ClassParameters {
  const own = ownParameters(parameters);
  for (const key of own.keys())
    if (!known.some((name) => name === key))
      throw invalid(
        'parameters',
        `has an unknown key ${JSON.stringify(key)}; known are ${known.join(', ')}`,
      );
  const root = own.get('root');
  return {
    ...(root === undefined ? {} : { root: absolute(root) }),
    attributes: {
      ...text(own, 'pool', /^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$/),
      ...replicas(own, 'dataReplicas'),
      ...replicas(own, 'metadataReplicas'),
    },
  };
}

/** The parameters without those of the sidecars: what two requests must have in common. */
export const ownParameters = (
  parameters: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> =>
  new Map([...parameters].filter(([key]) => !key.startsWith(sidecarPrefix)).sort());

/** True when there is something to tell mmchattr. */
export const hasAttributes = (attributes: FileAttributes): boolean =>
  Object.values(attributes).some((value) => value !== undefined);

function absolute(root: string): string {
  if (root.startsWith('/')) return root;
  throw invalid('parameters', `key "root" must be an absolute path, not ${JSON.stringify(root)}`);
}

function text<K extends string>(
  own: ReadonlyMap<string, string>,
  key: K,
  form: RegExp,
): Partial<Record<K, string>> {
  const value = own.get(key);
  if (value === undefined) return {};
  if (!form.test(value))
    throw invalid('parameters', `key "${key}" cannot be ${JSON.stringify(value)}`);
  return { [key]: value } as Record<K, string>;
}

function replicas<K extends string>(
  own: ReadonlyMap<string, string>,
  key: K,
): Partial<Record<K, number>> {
  const value = own.get(key);
  if (value === undefined) return {};
  if (!/^[123]$/.test(value))
    throw invalid('parameters', `key "${key}" must be 1, 2 or 3, not ${JSON.stringify(value)}`);
  return { [key]: Number(value) } as Record<K, number>;
}
