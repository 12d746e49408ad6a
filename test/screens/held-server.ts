/**
 * `held-server.ts DIRECTORY`: an image server and the proxy before it, in a process of its own, because who drives terminals
 * has no time to serve. Prints the address of the proxy; SIGUSR2 lets all go, SIGTERM ends it.
 */

import {createImageServer} from '../../src/server/image-server.ts';
import {heldProxy} from './held-proxy.ts';

const server = await createImageServer({directory: process.argv[2] ?? ''});
const {url} = await server.listen({host: '127.0.0.1', port: 0});
const proxy = await heldProxy(url, 0.5);
process.on('SIGUSR2', () => proxy.letGo());
process.on('SIGTERM', () => process.exit());
console.log(proxy.url);
