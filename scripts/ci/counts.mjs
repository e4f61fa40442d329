/** What a run counted, by its last line. One that ends without it, or with a status that its line does not explain, failed. */
export function countsOf(output, status) {
  const last = output.trimEnd().split('\n').at(-1) ?? '';
  const [, passed, failed] = /^(\d+) passed, (\d+) failed$/.exec(last) ?? [];
  if (passed === undefined) return { passed: 0, failed: 1 };
  const counts = { passed: Number(passed), failed: Number(failed) };
  const isExplained = (status === 0) === (counts.failed === 0);
  return isExplained ? counts : { ...counts, failed: counts.failed + 1 };
}

/** All runs together; one that never began failed. */
export const sumOf = (all, wanted) => ({
  passed: all.reduce((sum, { passed }) => sum + passed, 0),
  failed: all.reduce((sum, { failed }) => sum + failed, wanted - all.length),
});
