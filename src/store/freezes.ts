import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { isFault } from '../model/fault.ts';
import { localIdOf, type FileKey } from '../model/ids.ts';
import type { Nonce } from '../run/clock.ts';
import { errnoOf, type Files } from '../run/files.ts';
import { makeIn } from '../run/directories.ts';
import { ignoring } from './edges.ts';
import { fromText, toText } from './json.ts';
import type { Layout } from './layout.ts';
import { format, key, publicIdText, recordFormat } from './schema/data.ts';

/** How long a file system stays frozen at most, from the request on. */
export const freezeMs = 10_000;

const requestFile = z.looseObject({
  format,
  volume: publicIdText,
  image: key,
});

const answerFile = z.looseObject({
  format,
  /** '' while the file system is frozen; else why it is not. */
  refused: z.string(),
});

/** A request to the node that has a volume mounted: freeze its file system for a moment. */
export interface FreezeRequest {
  readonly nonce: string;
  /** Public id of the volume, and its image. */
  readonly volume: string;
  readonly image: FileKey;
}

/** Requests travel through a folder of each node: file watching does not cross nodes on GPFS. */
export interface Freezes {
  ask(node: string, what: Omit<FreezeRequest, 'nonce'>): Promise<string>;
  /** Ends the freeze; resolves too when there is none any more. */
  retract(node: string, nonce: string): Promise<void>;
  /** Undefined while there is no answer; '' while it is frozen; else why it is not. */
  answerTo(node: string, nonce: string): Promise<string | undefined>;
  requestsTo(node: string): Promise<readonly FreezeRequest[]>;
  isAsked(node: string, nonce: string): Promise<boolean>;
  answer(node: string, nonce: string, refused: string): Promise<void>;
  /** Before the thaw: a server that still finds the answer afterwards knows that the freeze lasted until then. */
  takeBack(node: string, nonce: string): Promise<void>;
  /** Everything that earlier callers left. */
  clear(node: string): Promise<void>;
}

/** The folders of one root. */
export function freezesOf(files: Files, layout: Layout, nonce: Nonce): Freezes {
  const at = (node: string, name: string) => join(layout.freezes(localIdOf(node)), name);
  const list = async (node: string): Promise<readonly string[]> =>
    (await files.list(layout.freezes(localIdOf(node))).catch(absent)) ?? [];
  const put = async (path: string, value: object): Promise<void> => {
    const temporary = join(layout.temporary, `freeze-${nonce()}`);
    await files.createDurable(temporary, toText({ format: recordFormat, ...value }), 0o640);
    await makeIn(files, dirname(path), () => files.rename(temporary, path));
  };
  const drop = (path: string) => ignoring(files.unlink(path), 'ENOENT');
  return {
    ask: async (node, what) => {
      const name = nonce();
      await put(at(node, `${name}.ask`), what);
      return name;
    },
    retract: async (node, name) => {
      await drop(at(node, `${name}.ask`));
      await drop(at(node, `${name}.answer`));
    },
    answerTo: async (node, name) => {
      const path = at(node, `${name}.answer`);
      const text = await files.read(path).catch(absent);
      return text === undefined ? undefined : fromText(answerFile, text, path).refused;
    },
    requestsTo: async (node) => {
      const names = (await list(node)).filter((name) => name.endsWith('.ask'));
      const read = await Promise.all(names.map((name) => request(files, at(node, name))));
      return read.filter((each) => each !== undefined);
    },
    isAsked: async (node, name) =>
      (await files.stat(at(node, `${name}.ask`)).catch(absent)) !== undefined,
    answer: (node, name, refused) => put(at(node, `${name}.answer`), { refused }),
    takeBack: (node, name) => drop(at(node, `${name}.answer`)),
    clear: async (node) => {
      for (const name of await list(node)) await drop(at(node, name));
    },
  };
}

async function request(files: Files, path: string): Promise<FreezeRequest | undefined> {
  const text = await files.read(path).catch(absent);
  if (text === undefined) return undefined;
  try {
    return { ...fromText(requestFile, text, path), nonce: basename(path, '.ask') };
  } catch (error) {
    // It may come from a newer version: the server that asked continues without an answer.
    if (isFault(error, 'unreadable-record')) return undefined;
    throw error;
  }
}

const absent = (error: unknown): undefined => {
  if (errnoOf(error) === 'ENOENT') return undefined;
  throw error;
};
