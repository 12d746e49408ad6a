/** Where buses listen (D-Bus specification, "Server Addresses"). Only Unix sockets carry descriptors. */
import {ImgctlError} from '../errors.ts';

const systemSocket = 'unix:path=/run/dbus/system_bus_socket';

/** Address of the system bus, or of the user's. */
export function busAddress(
  scope: 'system' | 'user',
  env: Readonly<Record<string, string | undefined>>,
): string {
  if (scope === 'system') return env.DBUS_SYSTEM_BUS_ADDRESS || systemSocket;
  if (env.DBUS_SESSION_BUS_ADDRESS) return env.DBUS_SESSION_BUS_ADDRESS;
  if (env.XDG_RUNTIME_DIR) return `unix:path=${env.XDG_RUNTIME_DIR.replace(/[^\w/.-]/g, escapeByte)}/bus`;
  throw new ImgctlError('BusUnavailable', 'there is no user bus here: DBUS_SESSION_BUS_ADDRESS is not set');
}

function escapeByte(character: string): string {
  return Buffer.from(character).reduce((text, byte) => `${text}%${byte.toString(16).padStart(2, '0')}`, '');
}

/** The sockets of an address, in the order to try them: a path, or a NUL and an abstract name. */
export function parseBusAddress(address: string): string[] {
  const sockets = address.split(';').flatMap((entry) => {
    const [, parameters] = /^unix:(.*)$/.exec(entry) ?? [];
    return parameters === undefined ? [] : parseUnixParameters(parameters);
  });
  if (sockets.length > 0) return sockets;
  throw new ImgctlError('BusUnavailable', `bus address "${address}" names no Unix socket`);
}

function parseUnixParameters(text: string): string[] {
  return text.split(',').flatMap((pair) => {
    const at = pair.indexOf('=');
    const value = unescapeBytes(pair.slice(at + 1));
    if (at < 0 || value.length === 0) return [];
    if (pair.slice(0, at) === 'path') return [value];
    return pair.slice(0, at) === 'abstract' ? [`\0${value}`] : [];
  });
}

function unescapeBytes(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new ImgctlError('BusUnavailable', `bus address has a bad escape: "${text}"`, {cause: error});
  }
}
