/** Opens the engine on the bus; loaded only where that engine is used. */

import {busAddress} from '../dbus/bus-address.ts';
import {BusConnection} from '../dbus/bus-connection.ts';
import {BusEngine, type BusEngineOptions} from '../dbus/client/bus-engine.ts';
import type {Environment} from './environment.ts';
import type {Scope} from './paths.ts';

export function openBusEngine(
  options: {environment: Environment; scope: Scope} & Pick<
    BusEngineOptions,
    'classDirectory' | 'scratchDirectory'
  >,
): BusEngine {
  const {environment, scope, ...rest} = options;
  return new BusEngine({
    ...rest,
    connect: () => BusConnection.open(busAddress(scope, environment.env)),
    // Where nobody sits, nobody can be asked for a password.
    interactive: environment.stdin.isTTY === true,
  });
}
