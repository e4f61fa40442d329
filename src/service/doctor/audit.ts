import type { AuditFacts, Finding } from '../../model/audit/facts.ts';
import { findingsOf } from '../../model/audit/findings.ts';
import type { RootStore } from '../../store/root.ts';
import { collect, type AuditHost } from './collect.ts';

/** The findings of an audit of a root, and the facts behind them. */
export interface Audit {
  readonly facts: AuditFacts;
  readonly findings: readonly Finding[];
}

/** Time for operations under way to end, before a finding is believed. */
const secondLookMs = 500;

/**
 * Compares records, files and what GPFS reports. Servers work meanwhile, so what does not agree is checked a second
 * time, and only what is found twice is reported.
 */
export async function audit(host: AuditHost, store: RootStore): Promise<Audit> {
  const first = await collect(host, store);
  const suspects = findingsOf(first);
  if (suspects.length === 0) return { facts: first, findings: [] };
  await host.clock.sleep(secondLookMs);
  const facts = await collect(host, store);
  const before = new Set(suspects.map(identity));
  return { facts, findings: findingsOf(facts).filter((each) => before.has(identity(each))) };
}

const identity = ({ kind, object, says }: Finding): string => `${kind} ${object} ${says}`;
