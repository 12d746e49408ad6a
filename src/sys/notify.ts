import {checked, native} from './native.ts';

/** Tells the service manager a state, as sd_notify(3) does; nothing without its socket (`NOTIFY_SOCKET`). */
export function notifySupervisor(socket: string | undefined, state: string): void {
  if (!socket) return;
  const address = Buffer.from(socket.replace(/^@/, '\0'));
  checked(native().sendDatagram(address, Buffer.from(state)), 'sendto', socket);
}
