import { z } from 'zod';
import { allowedSkips, pending } from './skips.ts';

const suites = z.array(
  z.object({
    SpecReports: z.array(
      z.object({
        ContainerHierarchyTexts: z.array(z.string()).nullish(),
        LeafNodeType: z.string(),
        LeafNodeText: z.string(),
        State: z.string(),
        Failure: z.object({ Message: z.string() }).optional(),
      }),
    ),
  }),
);

/** The result of one run of csi-sanity. */
export interface Verdict {
  readonly passed: number;
  /** Skips that are agreed on; neither passed nor failed. */
  readonly skipped: number;
  readonly pending: number;
  /** What is wrong, one sentence each. */
  readonly problems: readonly string[];
}

/** Judges the JSON report of csi-sanity: what is not passed must be named in skips.ts. */
export function judge(json: unknown): Verdict {
  const specs = suites
    .parse(json)
    .flatMap(({ SpecReports }) => SpecReports.filter(isSpec).map(read));
  const named = (state: string): readonly string[] =>
    specs.filter((spec) => spec.state === state).map(({ name }) => name);
  const passed = named('passed').length;
  const wrong = specs.filter(({ state }) => !['passed', 'skipped', 'pending'].includes(state));
  return {
    passed,
    skipped: named('skipped').filter((name) => allowedSkips.includes(name)).length,
    pending: named('pending').filter((name) => pending.includes(name)).length,
    problems: [
      ...wrong.map(({ state, name, message }) => `${state}: ${name}${message}`),
      ...differences('skipped', named('skipped'), allowedSkips),
      ...differences('pending', named('pending'), pending),
      ...(passed === 0 ? ['no spec passed'] : []),
    ],
  };
}

type Spec = z.infer<typeof suites>[number]['SpecReports'][number];

// Nodes around the specs (BeforeSuite and the like) count only when they fail.
const isSpec = ({ LeafNodeType, State }: Spec): boolean =>
  LeafNodeType === 'It' || State !== 'passed';

function read(spec: Spec): { readonly name: string; readonly state: string; message: string } {
  const containers = spec.ContainerHierarchyTexts ?? [];
  const leaf = spec.LeafNodeText === '' ? spec.LeafNodeType : spec.LeafNodeText;
  return {
    name: [...containers, leaf].join(' > '),
    state: spec.State,
    message: spec.Failure === undefined ? '' : `: ${spec.Failure.Message}`,
  };
}

const differences = (
  state: string,
  found: readonly string[],
  expected: readonly string[],
): readonly string[] => [
  ...found.filter((name) => !expected.includes(name)).map((name) => `${state}: ${name}`),
  ...expected
    .filter((name) => !found.includes(name))
    .map((name) => `no longer ${state}, take it from the list: ${name}`),
];
