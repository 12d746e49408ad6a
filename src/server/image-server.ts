/**
 * An IMGAPI server over a plain directory (spec/imgapi.md). It answers as the reference server does: with users
 * those alone may write, without them whoever reaches the address it listens on.
 */
import {randomUUID} from 'node:crypto';
import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import {hostname} from 'node:os';
import {ServerError} from '../errors.ts';
import {chooseApiVersion} from './api-version.ts';
import {authenticate} from './authenticate.ts';
import {wantsPage} from './catalogue.ts';
import {readChannels} from './channels-file.ts';
import {acceptedType, Exchange} from './exchange.ts';
import {ImageStore} from './image-store.ts';
import {serverVersion} from './ping.ts';
import {refusals} from './refusals.ts';
import {findRoute, type Route} from './routes.ts';
import type {ServerContext, ServerMode} from './server-context.ts';
import {readUsers} from './users-file.ts';

export interface ServerLog {
  info(text: string): void;
  warn(text: string): void;
}

export interface ImageServerOptions {
  /** Where the images are; made when it is not there. One server at a time. */
  directory: string;
  mode?: ServerMode;
  logger?: ServerLog;
  /** Greatest size of an image's file; 20 GiB by the protocol. */
  maxFileBytes?: number;
  /** See `users-file.ts`; without one nobody is asked who they are. */
  usersFile?: string | undefined;
  /** Signatures hold for a while; tests with recorded ones set the clock. */
  now?: () => Date;
}

export interface ImageServer {
  /** Port 0 takes a free one. Resolves with where clients find the server. */
  listen(address: {host: string; port: number}): Promise<{url: string; port: number}>;
  /** Lets running requests finish for a while, then cuts them; cut uploads leave nothing. */
  close(): Promise<void>;
}

const defaultMaxFileBytes = 20 * 1024 ** 3;
/** Silence after which a connection is cut; an upload may take as long as it makes progress. */
const idleTimeoutMs = 120_000;
const graceMs = 5000;

/** Reads the directory; the server does not listen yet. */
export async function createImageServer(options: ImageServerOptions): Promise<ImageServer> {
  const log = options.logger ?? {info: () => undefined, warn: () => undefined};
  const context: ServerContext = {
    store: await ImageStore.open(options.directory, (text) => log.warn(text)),
    mode: options.mode ?? 'public',
    channels: await readChannels(options.directory),
    maxFileBytes: options.maxFileBytes ?? defaultMaxFileBytes,
    users: undefined,
    async reloadUsers() {
      const {usersFile} = options;
      if (usersFile !== undefined) context.users = await readUsers(usersFile, (text) => log.warn(text));
    },
    now: options.now ?? (() => new Date()),
  };
  await context.reloadUsers();
  const server = createServer({requestTimeout: 0}, (request, response) => {
    void answer(request, response, {context, log});
  });
  server.setTimeout(idleTimeoutMs);
  return {listen: (address) => listen(server, address), close: () => close(server)};
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  {context, log}: {context: ServerContext; log: ServerLog},
): Promise<void> {
  const startedAt = performance.now();
  const exchange = new Exchange(request, response);
  response.on('error', () => undefined);
  setCommonHeaders(exchange, startedAt);
  try {
    await route(exchange, context);
  } catch (error) {
    refuse(exchange, error, log);
  }
  const durationMs = Math.round(performance.now() - startedAt);
  log.info(`${exchange.method} ${request.url} ${response.statusCode} ${durationMs} ms`);
}

async function route(exchange: Exchange, context: ServerContext): Promise<void> {
  const found = findRoute(exchange.path);
  // HEAD is answered as GET, without the body.
  const method = exchange.method === 'HEAD' ? 'GET' : exchange.method;
  const {accept} = exchange.request.headers;
  if (found?.page !== undefined && method === 'GET' && wantsPage(accept)) {
    await found.page(exchange, context);
    return;
  }
  if (acceptedType(accept) === undefined) {
    exchange.send(406);
    return;
  }
  if (found === undefined) throw refusals.noSuchPath(exchange.path);
  const endpoint = Object.hasOwn(found.methods, method) ? found.methods[method] : undefined;
  if (endpoint === undefined) {
    const allowed = Object.keys(found.methods).join(', ');
    exchange.sendError(refusals.methodNotAllowed(exchange.method), {Allow: allowed});
    return;
  }
  await identify(exchange, context, found);
  const range = exchange.request.headers['accept-version'];
  const request = `${exchange.method} ${exchange.path}`;
  exchange.apiVersion = chooseApiVersion(typeof range === 'string' ? range : undefined, request);
  await endpoint(exchange, context);
}

/** Reading asks nobody, but does not take a wrong name; writing is for users where there are any. */
async function identify(exchange: Exchange, context: ServerContext, {isOpen}: Route): Promise<void> {
  const {users} = context;
  const isRead = exchange.method === 'GET' || exchange.method === 'HEAD';
  if (users === undefined || (isRead && isOpen)) return;
  exchange.user = await authenticate(exchange.request, {users, now: context.now()});
  if (exchange.user === undefined && !isRead) throw refusals.unauthenticated();
}

/** After the headers are out, an error can only show as a cut connection (spec/imgapi.md §2). */
function refuse(exchange: Exchange, error: unknown, log: ServerLog): void {
  const isRefusal = error instanceof ServerError;
  if (!isRefusal && !exchange.request.socket.destroyed) {
    log.warn(`${exchange.method} ${exchange.request.url}: ${error instanceof Error ? error.stack : error}`);
  }
  if (exchange.response.headersSent || exchange.request.socket.destroyed) exchange.request.socket.destroy();
  else exchange.sendError(isRefusal ? error : refusals.internal('the server could not answer; see its log'));
}

function setCommonHeaders({request, response}: Exchange, startedAt: number): void {
  const {headers} = request;
  response.setHeader('Server', `imgapi/${serverVersion}`);
  response.setHeader('x-request-id', headers['x-request-id'] ?? headers['request-id'] ?? randomUUID());
  response.setHeader('x-server-name', hostname());
  const writeHead = response.writeHead;
  response.writeHead = ((...args: Parameters<typeof writeHead>) => {
    response.setHeader('x-response-time', Math.round(performance.now() - startedAt));
    return writeHead.apply(response, args);
  }) as typeof writeHead;
}

function listen(
  server: Server,
  {host, port}: {host: string; port: number},
): Promise<{url: string; port: number}> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      const address = server.address() as AddressInfo;
      const shownHost = address.family === 'IPv6' ? `[${address.address}]` : address.address;
      resolve({url: `http://${shownHost}:${address.port}`, port: address.port});
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}
