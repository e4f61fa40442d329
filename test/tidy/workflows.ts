import { parse } from 'yaml';
import { z } from 'zod';
import { scriptsOf } from './face.ts';
import { filesIn, type Tree } from './tree.ts';

const permissions = z.record(z.string(), z.string());

const step = z.object({
  run: z.string().optional(),
  uses: z.string().optional(),
  with: z.record(z.string(), z.unknown()).optional(),
});

const workflow = z.object({
  on: z.unknown(),
  permissions,
  jobs: z.record(
    z.string(),
    z.object({
      permissions: permissions.optional(),
      uses: z.string().optional(),
      steps: z.array(step).default([]),
    }),
  ),
});

type Workflow = z.infer<typeof workflow>;
type Job = Workflow['jobs'][string];
type Step = z.infer<typeof step>;

/** What is wrong with the workflow files beyond their grammar, which actionlint checks. */
export function wrongWorkflows(tree: Tree): readonly string[] {
  const scripts = scriptsOf(tree);
  return filesIn(tree, '.github/workflows', '.yml').flatMap((path) => {
    const read = workflow.safeParse(parse(tree.get(path) ?? ''));
    if (!read.success) return [`${path} names no permissions, or is no workflow`];
    return faultsIn(read.data, scripts).map((fault) => `${path}: ${fault}`);
  });
}

function faultsIn(flow: Workflow, scripts: readonly string[]): readonly string[] {
  const { on, permissions: general, jobs } = flow;
  return [
    ...(JSON.stringify(on).includes('pull_request_target')
      ? ['pull_request_target runs the code of strangers with our secrets']
      : []),
    ...Object.entries(general)
      .filter(([, may]) => may === 'write')
      .map(([name]) => `every job may write ${name}: give it to the one job that needs it`),
    ...Object.entries(jobs).flatMap(([name, job]) => jobFaults(name, job, scripts)),
  ];
}

function jobFaults(name: string, job: Job, scripts: readonly string[]): readonly string[] {
  return [
    ...(job.permissions?.['contents'] === 'write' ? [`${name} may write to the repository`] : []),
    ...job.steps.flatMap((each) => stepFaults(each).map((fault) => `${name}: ${fault}`)),
    ...scriptsIn(job)
      .filter((script) => !scripts.includes(script))
      .map((script) => `${name} runs the script ${script}, which package.json does not have`),
  ];
}

const versioned = /@(?:v\d+\.\d+\.\d+|[0-9a-f]{40})$/;

function stepFaults({ uses, with: settings }: Step): readonly string[] {
  if (uses === undefined || uses.startsWith('./')) return [];
  const keeps = uses.startsWith('actions/checkout@') && settings?.['persist-credentials'] !== false;
  return [
    ...(versioned.test(uses) ? [] : [`${uses} names no whole version and no commit`]),
    ...(keeps ? [`${uses} leaves the token in the checkout: persist-credentials: false`] : []),
  ];
}

/** The npm scripts that a job runs. */
function scriptsIn({ steps }: Job): readonly string[] {
  const runs = steps.map(({ run = '' }) => run).join('\n');
  return [...runs.matchAll(/\bnpm (?:run (?:-s )?)?([a-z][\w:]*)/g)]
    .map(([, name = '']) => name)
    .filter((name) => name !== 'ci' && name !== 'run');
}

/** Scripts of package.json that no workflow runs, though it should. */
export function unrunScripts(tree: Tree): readonly string[] {
  const texts = filesIn(tree, '.github/workflows', '.yml').map((path) => tree.get(path) ?? '');
  const all = texts.flatMap((text) => {
    const read = workflow.safeParse(parse(text));
    return read.success ? Object.values(read.data.jobs).flatMap(scriptsIn) : [];
  });
  return ['check', 'test', 'test:e2e', 'release'].filter((name) => !all.includes(name));
}

const form = z.strictObject({
  name: z.string().min(3),
  description: z.string().min(3),
  labels: z.array(z.string()),
  body: z.array(
    z.discriminatedUnion('type', [
      z.strictObject({
        type: z.literal('markdown'),
        attributes: z.strictObject({ value: z.string() }),
      }),
      z.strictObject({
        type: z.enum(['input', 'textarea']),
        id: z.string(),
        attributes: z.strictObject({
          label: z.string(),
          description: z.string().optional(),
          value: z.string().optional(),
          render: z.string().optional(),
        }),
        validations: z.strictObject({ required: z.boolean() }).optional(),
      }),
    ]),
  ),
});

/** Issue forms that the host would leave out without a word. */
export function wrongForms(tree: Tree): readonly string[] {
  const paths = filesIn(tree, '.github/ISSUE_TEMPLATE', '.yml');
  return paths
    .filter((path) => !path.endsWith('/config.yml'))
    .flatMap((path) => {
      const read = form.safeParse(parse(tree.get(path) ?? ''));
      if (!read.success) return [`${path} is no issue form: ${z.prettifyError(read.error)}`];
      const ids = read.data.body.flatMap((part) => ('id' in part ? [part.id] : []));
      return new Set(ids).size === ids.length ? [] : [`${path} has an id twice`];
    });
}
