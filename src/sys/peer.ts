import type {Socket} from 'node:net';
import {checked, native} from './native.ts';

export interface Peer {
  uid: number;
  pid: number;
}

/** Who connected to us over a Unix socket, as the kernel noted it then. */
export function peerOf(socket: Socket): Peer {
  // Node has no other way to a socket's descriptor.
  const {fd} = (socket as unknown as {_handle: {fd: number}})._handle;
  return {uid: checked(native().peer(fd, 0), 'getsockopt'), pid: checked(native().peer(fd, 1), 'getsockopt')};
}
