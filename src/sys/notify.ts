import {checked, native} from './native.ts';

/** One datagram: a state for the service manager, as sd_notify(3) does, or an entry of the journal; nothing without a socket. */
export function notifySupervisor(socket: string | undefined, state: string | Buffer): void {
  if (!socket) return;
  const address = Buffer.from(socket.replace(/^@/, '\0'));
  checked(
    native().sendDatagram(address, typeof state === 'string' ? Buffer.from(state) : state),
    'sendto',
    socket,
  );
}
