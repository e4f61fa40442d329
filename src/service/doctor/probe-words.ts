import {
  consequences,
  strangeOutcomes,
  trials,
  type Outcomes,
  type Trial,
} from '../../model/abilities.ts';
import type { Check } from '../../model/audit/check.ts';
import type { AbilitiesFile } from '../../store/abilities.ts';

type Finding = Omit<Check, 'name'>;

// The driver works around the other answers, and an administrator cannot change them.
const hindering: readonly Trial[] = ['directIo', 'zeroInClone'];

/** The result of a probe, in sentences. */
export function describeProbe(found: AbilitiesFile): readonly Finding[] {
  const outcomes = (found.outcomes ?? {}) as Outcomes;
  const strange = strangeOutcomes(outcomes);
  const names = Object.keys(trials) as Trial[];
  return [
    summary(found, names, outcomes),
    ...ofTwoNodes(found.abilities.redirectAttached),
    ...names.flatMap((trial): readonly Finding[] => {
      const outcome = outcomes[trial];
      if (!outcome || strange.includes(trial)) return [];
      if (outcome.kind === 'unknown')
        return [{ status: 'warning', says: `not known whether ${trials[trial]}: ${outcome.why}` }];
      const consequence = consequences[trial];
      if (outcome.kind !== consequence?.when) return [];
      const status = hindering.includes(trial) ? 'warning' : 'note';
      return [{ status, says: `not so: ${trials[trial]}; ${consequence.then}`, object: trial }];
    }),
    ...strange.map((trial): Finding => ({
      status: 'failed',
      says: `${outcomes[trial]?.kind ?? ''}: ${trials[trial]}; no GPFS the driver was made for answers so, do not use it`,
      object: trial,
    })),
  ];
}

function ofTwoNodes(answer: boolean | undefined): readonly Finding[] {
  if (answer === undefined) return [];
  const says = answer
    ? 'two nodes found that a volume can be redirected by one while the other writes to it'
    : 'two nodes found that a volume cannot be redirected by one while the other writes to it; attached volumes are compacted only once they are detached';
  return [{ status: answer ? 'ok' : 'note', says, object: 'redirectAttached' }];
}

function summary(found: AbilitiesFile, names: readonly Trial[], outcomes: Outcomes): Finding {
  const answers = names.filter((trial) => outcomes[trial] && outcomes[trial].kind !== 'unknown');
  const times = Object.entries(found.latencyMs ?? {}).map(([what, ms]) => `${what} ${ms} ms`);
  const window = outcomes.removeChildless?.ms;
  const gone = window === undefined ? [] : [`a parent goes ${window} ms after its last child`];
  return {
    status: 'ok',
    says: `${answers.length} of ${names.length} questions answered on ${found.node} (${[...times, ...gone].join(', ')})`,
  };
}
