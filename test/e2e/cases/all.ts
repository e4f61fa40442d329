import type { Case } from '../case.ts';
import { attributesCases } from './attributes.ts';
import { chartCases } from './chart.ts';
import { exampleCases } from './examples.ts';
import { goldenCases } from './golden.ts';
import { imageCases } from './image.ts';
import { leaderCases } from './leaders.ts';
import { manyCases } from './many.ts';
import { mishapCases } from './mishaps.ts';
import { operatorCases } from './operator.ts';
import { simulatedCases } from './simulated.ts';
import { statisticsCases } from './statistics.ts';
import { tenantCases } from './tenants.ts';
import { topologyCases } from './topology.ts';
import { upgradeCases } from './upgrade.ts';
import { volumeCases } from './volumes.ts';
import { wordCases } from './words.ts';

/** All cases, in the order in which they are run: what is worth most first. */
export const allCases: readonly Case[] = [
  ...volumeCases,
  ...imageCases,
  ...statisticsCases,
  ...operatorCases,
  ...wordCases,
  ...exampleCases,
  ...attributesCases,
  ...tenantCases,
  ...goldenCases,
  ...manyCases,
  ...mishapCases,
  ...leaderCases,
  ...topologyCases,
  ...upgradeCases,
  ...simulatedCases,
  ...chartCases,
];
