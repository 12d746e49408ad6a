/** Runs the image server until the process is asked to stop. */

import {existsSync} from 'node:fs';
import {mkdir} from 'node:fs/promises';
import path from 'node:path';
import {ImgctlError} from '../errors.ts';
import type {ImageServer} from '../server/image-server.ts';
import type {ServerMode} from '../server/server-context.ts';
import {forbidCoreDumps} from '../sys/core-dumps.ts';
import {tryLock} from '../sys/lock.ts';
import type {CommandContext} from './context.ts';

/** Prints the address it listens on as its one line of stdout, so that scripts can wait for it. */
export async function serve(
  context: CommandContext,
  options: {
    directory: string;
    listen: string;
    mode: string;
    usersFile: string | undefined;
    maxFile: string | undefined;
  },
): Promise<void> {
  const {host, port} = parseAddress(options.listen);
  const mode = parseMode(options.mode);
  const maxFileBytes = options.maxFile === undefined ? undefined : parseSize(options.maxFile);
  const {createImageServer} = await import('../server/image-server.ts');
  await mkdir(options.directory, {recursive: true});
  const lock = tryLock(path.join(options.directory, '.serve.lock'));
  if (!lock) throw new ImgctlError('LockTimeout', `"${options.directory}" is served by another process`);
  const logger = {info: () => undefined, warn: (text: string) => context.output.warn(text)};
  const ownUsers = path.join(options.directory, 'users.json');
  const usersFile = options.usersFile ?? (existsSync(ownUsers) ? ownUsers : undefined);
  if (usersFile !== undefined) forbidCoreDumps();
  const {directory} = options;
  const limits = maxFileBytes === undefined ? {} : {maxFileBytes};
  const server = await createImageServer({directory, mode, logger, usersFile, ...limits});
  const {url} = await listen(server, host, port);
  context.output.data(
    context.output.json ? JSON.stringify({url}) : `Serving "${options.directory}" on ${url}`,
  );
  await new Promise<void>((resolve) => {
    if (context.signal.aborted) resolve();
    else context.signal.addEventListener('abort', () => resolve(), {once: true});
  });
  await server.close();
  lock.release({remove: true});
}

async function listen(server: ImageServer, host: string, port: number): Promise<{url: string}> {
  try {
    return await server.listen({host, port});
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ImgctlError('InvalidArgument', `cannot listen on ${host}:${port}: ${reason}`, {cause: error});
  }
}

function parseMode(text: string): ServerMode {
  if (text === 'public' || text === 'private') return text;
  throw new ImgctlError('Usage', `invalid --mode "${text}": must be public or private`);
}

/** `500M`, `20G`; base 1024. */
function parseSize(text: string): number {
  const [, amount, unit = ''] = /^(\d{1,9})([KMGT]?)$/.exec(text) ?? [];
  const sizeBytes = Number(amount) * 1024 ** ' KMGT'.indexOf(unit || ' ');
  if (sizeBytes > 0 && Number.isSafeInteger(sizeBytes)) return sizeBytes;
  throw new ImgctlError('Usage', `invalid --max-file "${text}": must be a size, as 500M or 20G`);
}

function parseAddress(text: string): {host: string; port: number} {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) {
    throw new ImgctlError(
      'Usage',
      `invalid --listen "${text}": must be ADDRESS:PORT, as 127.0.0.1:8080 or [::1]:8080`,
    );
  }
  return {host: match[1] ?? match[2] ?? '', port};
}
