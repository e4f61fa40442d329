import { dirname } from 'node:path';
import { ask, findProgram, Refusal } from './run.mjs';

/** Folders to add to PATH so that `go` is found; the tests build csi-sanity with it. */
export function ensureGo() {
  const go = findProgram('go', ['/usr/local/go/bin']);
  if (go === undefined) {
    throw new Refusal('the tests need Go 1.21 or newer to build csi-sanity: put go on the PATH');
  }
  // From 1.21 on, Go fetches the newer release that a module asks for.
  const [, major, minor] = /go(\d+)\.(\d+)/.exec(ask(go, ['version']) ?? '') ?? [];
  if (Number(major) !== 1 || !(Number(minor) >= 21)) {
    throw new Refusal(`the tests need Go 1.21 or newer to build csi-sanity: ${go} is older`);
  }
  return [dirname(go)];
}
