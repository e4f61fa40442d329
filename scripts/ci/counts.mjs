/** What a run counted, by its last line. One that ends without it, or with a status that its line does not explain, failed. */
export function countsOf(output, status) {
  const last = output.trimEnd().split('\n').at(-1) ?? '';
  const [, passed, failed] = /^(\d+) passed, (\d+) failed$/.exec(last) ?? [];
  if (passed === undefined) return oneCheck(false);
  const counts = { passed: Number(passed), failed: Number(failed) };
  const isExplained = (status === 0) === (counts.failed === 0);
  return isExplained ? counts : { ...counts, failed: counts.failed + 1 };
}

/** What is one check as a whole. */
export const oneCheck = (ok) => ({ passed: ok ? 1 : 0, failed: ok ? 0 : 1 });

/** All parts together; one that never began, and is undefined or missing, failed. */
export function sumOf(all, wanted) {
  const begun = all.filter((counts) => counts !== undefined);
  return {
    passed: begun.reduce((sum, { passed }) => sum + passed, 0),
    failed: begun.reduce((sum, { failed }) => sum + failed, wanted - begun.length),
  };
}
