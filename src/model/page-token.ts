import { createHash } from 'node:crypto';
import { DriverError } from './fault.ts';

/** Where a list continues: after this id of this root. It stays valid when that object is deleted. */
export interface Position {
  readonly root: string;
  readonly id: string;
}

const check = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 8);

/** A position as an opaque token of at most 128 bytes; `list` names the list it belongs to. */
export function tokenOf(list: 'volumes' | 'snapshots', { root, id }: Position): string {
  const text = `${list[0] ?? ''}/${root}/${id}`;
  return Buffer.from(`${text}/${check(text)}`).toString('base64url');
}

/** Reads a token; undefined for the empty one. Throws bad-token for one that this list did not give out. */
export function positionOf(list: 'volumes' | 'snapshots', token: string): Position | undefined {
  if (token === '') return undefined;
  const text = Buffer.from(token, 'base64url').toString();
  const [kind, root, id, sum] = text.split('/');
  const good = root && id && kind === list[0] && sum === check(`${kind ?? ''}/${root}/${id}`);
  if (good && tokenOf(list, { root, id }) === token) return { root, id };
  throw new DriverError(
    'bad-token',
    'starting_token was not given out by this list; start again without one',
  );
}
