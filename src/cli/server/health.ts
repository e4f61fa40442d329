import { DriverError, messageOf } from '../../model/fault.ts';
import type { FoundHealth } from '../../store/nodes.ts';

/** What the parts of this server last found wrong, for the other nodes to read. */
export interface HealthBoard {
  /** Replaces what one part found: an error, a sentence, or undefined where all is well. */
  readonly note: (what: string, why: unknown) => void;
  /** What is wrong now, at most as much as a root keeps. */
  readonly problems: () => FoundHealth['problems'];
}

/** The bounds of what a root keeps of one node. */
const mostProblems = 8;
const longestSentence = 400;

/** A board on which nothing stands yet. */
export function healthBoard(): HealthBoard {
  const found = new Map<string, string>();
  return {
    note: (what, why) => {
      if (why === undefined) found.delete(what);
      else found.set(what, sentenceOf(why).slice(0, longestSentence));
    },
    problems: () => [...found].slice(0, mostProblems).map(([what, says]) => ({ what, says })),
  };
}

/** Only the driver's own sentences: what else is thrown may quote the output of a command. */
function sentenceOf(why: unknown): string {
  if (typeof why === 'string') return why;
  return why instanceof DriverError || (why instanceof Error && 'syscall' in why)
    ? messageOf(why)
    : 'it failed in an unexpected way; see the log of the driver on this node';
}
