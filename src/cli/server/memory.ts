/**
 * Gives memory back to the system after work that needed much. An idle heap never grows enough to be collected
 * by itself. The image runs Node with --expose-gc; elsewhere nothing happens.
 */
export function giveBack(): void {
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
