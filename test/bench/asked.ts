/** The options that `read` finds on the command line. When it throws: the error, the usage, and status 2. */
export function readOptions<T extends { readonly only: string }>(
  read: () => T,
  { parts, usage }: { readonly parts: object; readonly usage: string },
): T {
  try {
    const values = read();
    const unknown = values.only.split(',').filter((name) => !Object.hasOwn(parts, name));
    if (unknown.length === 0) return values;
    throw new Error(`there is no part ${unknown.join(', ')}`);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : ''}\n${usage}\n`);
    process.exit(2);
  }
}
