/** Whether a text matches a pattern in which `*` stands for any characters and `?` for one. */
export function matchesGlob(pattern: string, text: string): boolean {
  const wanted = Array.from(pattern);
  const given = Array.from(text);
  let at = 0;
  // Where the last star stands, and how far what it stands for goes at least.
  let star = -1;
  let taken = 0;
  for (let n = 0; n < given.length;) {
    const part = wanted[at];
    if (part === '*') {
      star = at;
      taken = n;
      at += 1;
    } else if (part !== undefined && (part === '?' || part === given[n])) {
      at += 1;
      n += 1;
    } else if (star >= 0) {
      at = star + 1;
      taken += 1;
      n = taken;
    } else return false;
  }
  return wanted.slice(at).every((part) => part === '*');
}
