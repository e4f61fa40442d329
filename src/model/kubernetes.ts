/** What Kubernetes calls an object of the driver: `NAMESPACE/NAME` of a claim, a snapshot or a group snapshot. */
export interface KubernetesName {
  readonly namespace: string;
  readonly name: string;
}

/** The objects whose names the sidecars give, with the middle of the keys that they use. */
type NamedKind = 'pvc' | 'volumesnapshot' | 'volumegroupsnapshot';

/** Prefix of what the Kubernetes sidecars add to parameters on their own. */
export const sidecarPrefix = 'csi.storage.k8s.io/';

/** A namespace, as Kubernetes allows it. */
export const isNamespace = (text: string): boolean =>
  /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(text);

/** The name of a claim or a snapshot, as Kubernetes allows it. */
export const isObjectName = (text: string): boolean =>
  text.length <= 253 && /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/.test(text);

/**
 * The name that a sidecar with `--extra-create-metadata` adds to the parameters of a request; undefined where it adds
 * none, or where the text is no name of Kubernetes. It only tells people what they look at, and decides nothing.
 */
export function kubernetesNameIn(
  parameters: ReadonlyMap<string, string>,
  kind: NamedKind,
): KubernetesName | undefined {
  const namespace = parameters.get(`${sidecarPrefix}${kind}/namespace`) ?? '';
  const name = parameters.get(`${sidecarPrefix}${kind}/name`) ?? '';
  return isNamespace(namespace) && isObjectName(name) ? { namespace, name } : undefined;
}

/** The field of a record that keeps the name, where there is one. */
export const namedBy = (kubernetes: KubernetesName | undefined) =>
  kubernetes === undefined ? {} : { kubernetes: { ...kubernetes } };

/** `NAMESPACE/NAME`. */
export const showName = ({ namespace, name }: KubernetesName): string => `${namespace}/${name}`;

/** What people call an object: its name in Kubernetes, else its own. */
export const nameShown = ({
  kubernetes,
  name,
}: {
  readonly kubernetes?: KubernetesName | undefined;
  readonly name: string;
}): string => (kubernetes ? showName(kubernetes) : name);
