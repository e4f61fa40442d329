const { get } = process.getBuiltinModule('node:http');

const longestMetrics = 4 * 1024 * 1024;
const limitMs = 10_000;

/** Where the server of this node answers HTTP: at its own address, or at that of this machine for every address. */
export const metricsUrl = (address: string, port: number): string => {
  const host = address === '::' || address === '0.0.0.0' ? '127.0.0.1' : address;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}/metrics`;
};

/** The metrics of the server of this node. Throws where it does not answer with them. */
export function metricsText(url: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const asked = get(url, { timeout: limitMs }, (answer) => {
    const chunks: Buffer[] = [];
    let size = 0;
    answer.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= longestMetrics) chunks.push(chunk);
      else answer.destroy(new Error(`${url} answers with more than ${longestMetrics} bytes`));
    });
    answer.on('error', reject);
    answer.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      if (answer.statusCode === 200) resolve(text);
      else reject(new Error(`${url} answers with status ${String(answer.statusCode)}`));
    });
  });
  asked.on('timeout', () => asked.destroy(new Error(`${url} does not answer`)));
  asked.on('error', reject);
  return promise;
}
