import {expect, test} from 'vitest';
import {busAddress, parseBusAddress} from '../../../src/dbus/bus-address.ts';

test('the system bus has a place unless the environment names another', () => {
  expect(busAddress('system', {})).toBe('unix:path=/run/dbus/system_bus_socket');
  expect(busAddress('system', {DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/x'})).toBe('unix:path=/x');
});

test('the bus of a user is in the runtime directory, whatever its name', () => {
  expect(parseBusAddress(busAddress('user', {XDG_RUNTIME_DIR: '/run/ä,b'}))).toEqual(['/run/ä,b/bus']);
  expect(busAddress('user', {DBUS_SESSION_BUS_ADDRESS: 'unix:abstract=a'})).toBe('unix:abstract=a');
  expect(() => busAddress('user', {})).toThrow('DBUS_SESSION_BUS_ADDRESS is not set');
});

test('sockets are found in the order they are named', () => {
  const address = 'tcp:host=x,port=1;unix:path=/a%20b,guid=0123;unix:abstract=/c';
  expect(parseBusAddress(address)).toEqual(['/a b', '\0/c']);
});

test.each(['', 'tcp:host=x', 'unix:guid=0', 'unix:path=', 'unix:path=%zz'])('%j is refused', (address) => {
  expect(() => parseBusAddress(address)).toThrow(expect.objectContaining({code: 'BusUnavailable'}));
});
