/** Shows whole lines, each under a name, so that two programs can print side by side. */
export function labelled(name, show) {
  let rest = '';
  return (text) => {
    const lines = `${rest}${text}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') show(`${name.padEnd(12)}${line.trim()}\n`);
  };
}
