import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** What a page did that no page of ours may do. */
export interface Incident {
  readonly kind: 'error' | 'request' | 'dialog';
  readonly says: string;
}

/** A page in a real browser without a window. */
export interface Page {
  /** The value of an expression in the page, which JSON can carry. */
  readonly eval: (expression: string) => Promise<unknown>;
  readonly press: (key: string) => Promise<void>;
  readonly type: (text: string) => Promise<void>;
  readonly send: (method: string, params?: object) => Promise<Answer>;
  /** Errors, dialogs, and each request but that for the page itself. */
  readonly incidents: readonly Incident[];
}

type Answer = Readonly<Record<string, unknown>>;

/** A browser with one tab. */
export interface Browser extends AsyncDisposable {
  /** Opens an address, and waits until the page says that it is drawn. */
  readonly open: (url: string) => Promise<Page>;
}

/** Starts Debian's chromium without a window; disposing of it ends it and removes its profile. */
export async function startBrowser(): Promise<Browser> {
  const profile = await mkdtemp(join(tmpdir(), 'gpfs-csi-browser-'));
  const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--remote-debugging-port=0'];
  const args = [...flags, '--window-size=1280,900', `--user-data-dir=${profile}`, 'about:blank'];
  const child = spawn('chromium', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'close');
  const socket = await connect(await addressIn(child.stderr));
  const wire = protocol(socket);
  return {
    open: (url) => openPage(wire, url),
    [Symbol.asyncDispose]: async () => {
      await wire.send('Browser.close').catch(() => child.kill());
      await ended;
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function addressIn(output: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface({ input: output })) {
    const [, address] = /^DevTools listening on (ws:\S+)$/.exec(line) ?? [];
    if (address === undefined) continue;
    output.resume();
    return address;
  }
  throw new Error('chromium ended before it listened');
}

async function connect(address: string): Promise<WebSocket> {
  const socket = new WebSocket(address);
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', reject);
  });
  return socket;
}

type Heard = (method: string, params: Answer) => void;

interface Wire {
  readonly send: (method: string, params?: object, session?: string) => Promise<Answer>;
  readonly hear: (heard: Heard) => void;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Answer;
  readonly result?: Answer;
  readonly error?: { readonly message: string };
}

function protocol(socket: WebSocket): Wire {
  const waiting = new Map<number, (message: Message) => void>();
  const listeners: Heard[] = [];
  let last = 0;
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(String(data)) as Message;
    if (message.id !== undefined) waiting.get(message.id)?.(message);
    else for (const heard of listeners) heard(message.method ?? '', message.params ?? {});
  });
  return {
    send: (method, params = {}, sessionId) =>
      new Promise((resolve, reject) => {
        const id = ++last;
        waiting.set(id, ({ result, error }) => {
          waiting.delete(id);
          if (error) reject(new Error(`${method}: ${error.message}`));
          else resolve(result ?? {});
        });
        socket.send(JSON.stringify({ id, method, params, ...(sessionId ? { sessionId } : {}) }));
      }),
    hear: (heard) => {
      listeners.push(heard);
    },
  };
}

async function openPage(wire: Wire, url: string): Promise<Page> {
  const { targetId } = await wire.send('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await wire.send('Target.attachToTarget', { targetId, flatten: true });
  const send: Page['send'] = (method, params) => wire.send(method, params, String(sessionId));
  const incidents: Incident[] = [];
  wire.hear((method, params) => {
    const incident = incidentOf(method, params, url);
    if (incident) incidents.push(incident);
  });
  for (const domain of ['Page', 'Runtime', 'Network', 'Log']) await send(`${domain}.enable`);
  await send('Page.navigate', { url });
  const page: Page = {
    send,
    incidents,
    eval: async (expression) => {
      const { result, exceptionDetails } = await send('Runtime.evaluate', {
        expression,
        returnByValue: true,
        awaitPromise: true,
      });
      if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
      return (result as { readonly value?: unknown }).value;
    },
    press: async (key) => {
      await send('Input.dispatchKeyEvent', { type: 'keyDown', key });
      await send('Input.dispatchKeyEvent', { type: 'keyUp', key });
    },
    type: async (text) => {
      await send('Input.insertText', { text });
    },
  };
  await page.eval(drawn);
  return page;
}

/** Resolves when the page has drawn itself: its root element says so. */
const drawn = `new Promise((resolve) => {
  const look = () => document.documentElement?.hasAttribute('data-ready') ? resolve(true) : setTimeout(look, 20);
  look();
})`;

function incidentOf(method: string, params: Answer, url: string): Incident | undefined {
  const says = JSON.stringify(params);
  if (method === 'Runtime.exceptionThrown' || method === 'Log.entryAdded')
    return { kind: 'error', says };
  if (method === 'Page.javascriptDialogOpening') return { kind: 'dialog', says };
  if (method !== 'Network.requestWillBeSent') return undefined;
  const { request } = params as { readonly request: { readonly url: string } };
  return request.url === url ? undefined : { kind: 'request', says: request.url };
}
