/** A loopback server that answers every request with one recorded answer, to the byte, or fails as recorded. */
import type {IncomingMessage} from 'node:http';
import {type Loopback, startLoopback} from '../loopback.ts';
import {bodyBytes, type RecordedExchange} from './recorded-exchanges.ts';

export interface RecordedServer extends Omit<Loopback, 'server'> {
  /** The exchange from now on. */
  play(exchange: RecordedExchange): void;
}

export async function startRecordedServer(): Promise<RecordedServer> {
  let current: RecordedExchange;
  const {url, requests, close} = await startLoopback((request) => {
    request.resume().once('end', () => answer(request, current));
  });
  return {
    url,
    requests,
    close,
    play: (exchange) => {
      current = exchange;
    },
  };
}

function answer({socket, method}: IncomingMessage, {outcome, response}: RecordedExchange): void {
  if (response === null) {
    if (outcome === 'closed') socket.end();
    else if (outcome === 'server-crash') socket.resetAndDestroy();
    return;
  }
  const body = method === 'HEAD' ? Buffer.alloc(0) : bodyBytes(response.body);
  const isChunked = response.headers.some(([name]) => name.toLowerCase() === 'transfer-encoding');
  const lines = [
    `HTTP/1.1 ${response.status} ${response.reason}`,
    ...response.headers.map(([name, value]) => `${name}: ${value}`),
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  socket.end(isChunked ? chunked(body) : body);
}

function chunked(body: Buffer): Buffer {
  const last = Buffer.from('0\r\n\r\n');
  if (body.length === 0) return last;
  return Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n'), last]);
}
