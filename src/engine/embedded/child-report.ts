/** How a child speaks to its parent: a line of JSON each on standard output. */
import {writeSync} from 'node:fs';
import type {ChildMessage} from './child-protocol.ts';

const progressStep = 0.01;

/** Fails with EPIPE when the parent is gone, which ends this process. */
export function send(message: ChildMessage): void {
  writeSync(1, `${JSON.stringify(message)}\n`);
}

export function log(line: string, level = 6): void {
  send({type: 'log', level, line});
}

export function progressOf(total: number): (position: number) => void {
  let sent = 0;
  return (position) => {
    const fraction = total > 0 ? position / total : 1;
    if (fraction - sent < progressStep) return;
    sent = fraction;
    send({type: 'progress', fraction});
  };
}
