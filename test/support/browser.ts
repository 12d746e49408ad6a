/** A headless Chromium of the system, driven over its debugging protocol: one page, no network but loopback. */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {createInterface} from 'node:readline';

const flags = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'],
  ...['--disable-background-networking', '--disable-component-update', '--remote-debugging-port=0'],
  '--window-size=1100,900',
];

interface Reply {
  id?: number;
  method?: string;
  params?: {text?: string; entry?: {text: string}; exceptionDetails?: {text: string}};
  result?: Record<string, unknown>;
  error?: {message: string};
}

export class Browser {
  /** What the page complained about: blocked by its policy, failed to load, threw. */
  readonly complaints: string[] = [];
  readonly #child: ChildProcess;
  readonly #profile: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  readonly #events = new Map<string, () => void>();
  #session: string | undefined;
  #lastId = 0;

  private constructor(child: ChildProcess, profile: string, socket: WebSocket) {
    this.#child = child;
    this.#profile = profile;
    this.#socket = socket;
    socket.addEventListener('message', ({data}) => this.#receive(JSON.parse(String(data))));
  }

  static async start(): Promise<Browser> {
    const profile = mkdtempSync(path.join(tmpdir(), 'imgctl-browser-'));
    const child = spawn('chromium', [...flags, `--user-data-dir=${profile}`, 'about:blank'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let address: string | undefined;
    for await (const line of createInterface({input: child.stderr!})) {
      address = /^DevTools listening on (ws:.*)$/.exec(line)?.[1];
      if (address !== undefined) break;
    }
    child.stderr!.resume();
    if (address === undefined) throw new Error('chromium did not start');
    const socket = new WebSocket(address);
    await once(socket, 'open');
    const browser = new Browser(child, profile, socket);
    const {targetId} = await browser.#send('Target.createTarget', {url: 'about:blank'});
    const {sessionId} = await browser.#send('Target.attachToTarget', {targetId, flatten: true});
    browser.#session = String(sessionId);
    for (const domain of ['Page', 'Runtime', 'Log']) await browser.#send(`${domain}.enable`);
    return browser;
  }

  async open(url: string): Promise<void> {
    await this.#loading(() => this.#send('Page.navigate', {url}));
  }

  /** Types into a field instead of what is there, presses Enter, and waits for the page that follows. */
  async typeAndSubmit(selector: string, text: string): Promise<void> {
    await this.evaluate(`document.querySelector(${JSON.stringify(selector)}).select()`);
    await this.#send('Input.insertText', {text});
    await this.#loading(() =>
      this.#send('Input.dispatchKeyEvent', {type: 'keyDown', key: 'Enter', code: 'Enter', text: '\r'}),
    );
  }

  /** Clicks on the first element of a selector, and waits for the page that follows if it leads to one. */
  async click(selector: string, options: {leads: boolean}): Promise<void> {
    const click = () => this.evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`);
    await (options.leads ? this.#loading(click) : click());
  }

  /** The value of an expression in the page; it has to be JSON. */
  async evaluate(expression: string): Promise<unknown> {
    const {result, exceptionDetails} = await this.#send('Runtime.evaluate', {
      expression,
      returnByValue: true,
    });
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return Object(result).value;
  }

  async screenshot(): Promise<Buffer> {
    const {data} = await this.#send('Page.captureScreenshot', {format: 'png'});
    return Buffer.from(String(data), 'base64');
  }

  async close(): Promise<void> {
    const exited = once(this.#child, 'exit');
    await this.#send('Browser.close').catch(() => this.#child.kill('SIGKILL'));
    await exited;
    rmSync(this.#profile, {recursive: true, force: true, maxRetries: 5});
  }

  async #loading(start: () => Promise<unknown>): Promise<void> {
    // A late event of the page before must not count: first the new one appears, then it is loaded.
    const loaded = new Promise<void>((resolve) => {
      this.#events.set('Page.frameNavigated', () => this.#events.set('Page.loadEventFired', resolve));
    });
    await start();
    await loaded;
    this.#events.clear();
  }

  #send(method: string, params: object = {}): Promise<Record<string, unknown>> {
    this.#lastId += 1;
    const id = this.#lastId;
    const session = this.#session === undefined ? {} : {sessionId: this.#session};
    this.#socket.send(JSON.stringify({id, method, params, ...session}));
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({result = {}, error}) => {
        if (error === undefined) resolve(result);
        else reject(new Error(`${method}: ${error.message}`));
      });
    });
  }

  #receive(reply: Reply): void {
    const {id, method = '', params = {}} = reply;
    if (id !== undefined) this.#waiting.get(id)?.(reply);
    this.#events.get(method)?.();
    if (method === 'Log.entryAdded') this.complaints.push(params.entry?.text ?? '');
    if (method === 'Runtime.exceptionThrown') this.complaints.push(params.exceptionDetails?.text ?? '');
  }
}
