import type { Executables } from '../support/disk/executables.ts';
import type { Timing } from './measure.ts';
import type { Server, ServerPlan } from './server.ts';

/** What a part of the benchmark stands on. */
export interface Bench {
  readonly ground: Executables;
  /** Small numbers: to check that the benchmark runs, not to measure. */
  readonly quick: boolean;
  /** Aborted when the user interrupts the run. */
  readonly signal: AbortSignal;
  /** A fresh server; `use` ends before it does. */
  withServer<T>(
    name: string,
    use: (server: Server) => Promise<T>,
    logLevel?: ServerPlan['logLevel'],
  ): Promise<T>;
  /** Shows what is being done. */
  say(text: string): void;
}

/** A figure that is not the time of a call. */
export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** The design asks for less than this. */
  readonly below?: number;
  /** The design asks for at least this. */
  readonly above?: number;
}

/** Which processes a call started. */
export interface Cost {
  readonly what: string;
  readonly mm: readonly string[];
  readonly others: readonly string[];
}

/** What a part found. */
export interface Found {
  readonly timings?: readonly Timing[];
  readonly figures?: readonly Figure[];
  readonly costs?: readonly Cost[];
}

/** One part of the benchmark, which can be run alone. */
export type Part = (bench: Bench) => Promise<Found>;

/** Figures of a server's memory. */
export async function memoryFigures(server: Server, when: string): Promise<readonly Figure[]> {
  const { resident, anonymous } = await server.memory();
  return [
    { what: `resident ${when}`, value: resident, unit: 'MiB' },
    { what: `of that not backed by files`, value: anonymous, unit: 'MiB' },
  ];
}
