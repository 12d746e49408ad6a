/** Runs the image server until the process is asked to stop. */

import {ImgctlError} from '../errors.ts';
import type {CommandContext} from './context.ts';

export interface ServeResult {
  action: 'served';
  url: string;
}

/** Prints the address it listens on as its one line of stdout, so that scripts can wait for it. */
export async function serve(
  context: CommandContext,
  options: {directory: string; listen: string},
): Promise<ServeResult> {
  const {host, port} = parseAddress(options.listen);
  const {createImageServer} = await import('../server/image-server.ts');
  const server = await createImageServer({directory: options.directory, mode: 'public'});
  const url = await server.listen({host, port});
  context.output.data(
    context.output.json ? JSON.stringify({url}) : `Serving "${options.directory}" on ${url}`,
  );
  await new Promise<void>((resolve) => {
    if (context.signal.aborted) resolve();
    else context.signal.addEventListener('abort', () => resolve(), {once: true});
  });
  await server.close();
  return {action: 'served', url};
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
