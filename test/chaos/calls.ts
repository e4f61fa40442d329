import { setTimeout as sleep } from 'node:timers/promises';
import type { ChaosNode } from './ground/node.ts';
import { Broken, type Lane, type World } from './world.ts';

/** A request, and who may answer it. */
export interface Ask {
  readonly rpc: string;
  readonly request: object;
  /** The object that it is about, for the log. */
  readonly about: string;
  /** The node that must answer; else any server may. */
  readonly node?: ChaosNode;
  /** Codes that end the request like OK. */
  readonly final?: readonly string[];
  /** Refusals that pass once a node is back. */
  readonly later?: RegExp;
}

/** What came of a request in the end. */
export interface Answer {
  readonly code: string;
  readonly details: string;
  readonly reply: unknown;
}

/** Callers try again after these. */
const passing = ['ABORTED', 'UNAVAILABLE', 'DEADLINE_EXCEEDED', 'CANCELLED', 'RESOURCE_EXHAUSTED'];

/** Codes after which a server may still be at work. */
const open = ['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'CANCELLED'];

/** How long an operation may take in all; every fault ends long before. */
const longestMs = 240_000;

/**
 * Asks until the request is answered for good, as sidecars and the kubelet do: on another server each time, sometimes on two
 * at once, sometimes without waiting for the answer. Throws Broken for an answer that no caller can do anything about.
 */
export async function settle(world: World, lane: Lane, ask: Ask): Promise<Answer> {
  const until = Date.now() + longestMs;
  let last = 'no server was up';
  for (let pauseMs = 50; Date.now() < until; pauseMs = Math.min(pauseMs * 2, 2_000)) {
    world.signal.throwIfAborted();
    const answers = await attempt(world, lane, ask);
    const found = answers.find(({ code }) => isFinal(ask, code));
    if (found) return found;
    last = answers.map(({ code, details }) => `${code} ${details}`).join('; ') || last;
    await sleep(pauseMs / 2 + lane.random.int(pauseMs));
  }
  throw new Broken(
    `${ask.rpc} of ${ask.about} was not done within ${longestMs / 1000} s; the last answer: ${last}`,
  );
}

const isFinal = ({ final = [] }: Ask, code: string): boolean =>
  code === 'OK' || final.includes(code);

async function attempt(world: World, lane: Lane, ask: Ask): Promise<readonly Answer[]> {
  const { random } = lane;
  const up = world.nodes.filter(({ client }) => client !== undefined);
  const first = ask.node ?? random.any(up);
  if (!first) return [];
  const second = random.chance(0.12) ? (ask.node ?? random.any(up)) : undefined;
  const deadlineMs = random.chance(0.06) ? 1 + random.int(400) : 6_000 + random.int(20_000);
  const both = second ? [first, second] : [first];
  return Promise.all(both.map((node) => once(world, lane, { ...ask, node }, deadlineMs)));
}

/** One request to one server. */
async function once(
  world: World,
  lane: Lane,
  ask: Ask & { readonly node: ChaosNode },
  deadlineMs: number,
): Promise<Answer> {
  const { journal } = world;
  const { rpc, request, about, node } = ask;
  const start = performance.now();
  lane.steps += 1;
  journal.note('ask', { lane: lane.name, rpc, about, node: node.name, deadlineMs });
  const { code, details, reply } = (await node.client?.call(rpc, request, { deadlineMs })) ?? gone;
  const tookMs = Math.round(performance.now() - start);
  journal.note('answer', { lane: lane.name, rpc, about, node: node.name, code, details, tookMs });
  journal.count('answers', code);
  if (open.includes(code)) world.uncertain.add(about);
  if (!isFinal(ask, code) && !passing.includes(code) && ask.later?.test(details) !== true)
    throw new Broken(`${rpc} of ${about} on ${node.name} was answered ${code}: ${details}`);
  return { code, details, reply };
}

const gone: Answer = {
  code: 'UNAVAILABLE',
  details: 'the server is not running',
  reply: undefined,
};
