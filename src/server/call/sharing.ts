import { noTimeLeft as left, withPatience } from '../../service/claims/patience.ts';

/** How many questions are answered at a time. */
const usualAtOnce = 4;

/**
 * Lets requests that ask the same at once share one answer. An answer holds what was true after its request came: a
 * request joins one that has not begun, and never one that runs.
 */
export interface Sharing {
  /** The answer to the question `key`. Rejects with unavailable when `leave` fires first. */
  ask<T>(key: string, leave: AbortSignal, work: () => Promise<T>): Promise<T>;
}

/** One question, and how many requests wait for its answer; the work ends early when none does any more. */
interface Question {
  readonly key: string;
  readonly abandoned: AbortController;
  readonly answer: PromiseWithResolvers<unknown>;
  readonly work: () => Promise<unknown>;
  askers: number;
}

interface Questions {
  /** Not begun yet, in the order in which they came. */
  readonly waiting: Map<string, Question>;
  readonly running: Set<string>;
  readonly atOnce: number;
}

/** No question asked so far. */
export function createSharing(atOnce = usualAtOnce): Sharing {
  const questions: Questions = { waiting: new Map(), running: new Set(), atOnce };
  return {
    ask: async <T>(key: string, leave: AbortSignal, work: () => Promise<T>) => {
      if (leave.aborted) throw left();
      const question = questions.waiting.get(key) ?? newQuestion(key, work);
      questions.waiting.set(key, question);
      question.askers += 1;
      startNext(questions);
      return (await untilLeft(questions, question, leave)) as T;
    },
  };
}

function newQuestion(key: string, work: () => Promise<unknown>): Question {
  const answer = Promise.withResolvers<unknown>();
  // All who asked may have left.
  answer.promise.catch(() => undefined);
  return { key, work, answer, abandoned: new AbortController(), askers: 0 };
}

/** Starts what may run; one question at a time of those that ask the same. */
function startNext(questions: Questions): void {
  const { waiting, running, atOnce } = questions;
  for (const question of waiting.values()) {
    if (running.size >= atOnce) return;
    if (running.has(question.key)) continue;
    waiting.delete(question.key);
    running.add(question.key);
    void run(question).finally(() => {
      running.delete(question.key);
      startNext(questions);
    });
  }
}

async function run({ abandoned, work, answer }: Question): Promise<void> {
  try {
    answer.resolve(await withPatience(abandoned.signal, work));
  } catch (error) {
    answer.reject(error);
  }
}

async function untilLeft(
  { waiting }: Questions,
  question: Question,
  leave: AbortSignal,
): Promise<unknown> {
  const gone = Promise.withResolvers<never>();
  const onLeave = (): void => {
    gone.reject(left());
  };
  leave.addEventListener('abort', onLeave, { once: true });
  try {
    return await Promise.race([question.answer.promise, gone.promise]);
  } finally {
    leave.removeEventListener('abort', onLeave);
    question.askers -= 1;
    if (question.askers === 0) {
      question.abandoned.abort();
      if (waiting.get(question.key) === question) waiting.delete(question.key);
    }
  }
}
