import type {Endpoint} from './exchange.ts';

/** AdminReloadAuthKeys: the users file as it is now counts from here on; a wrong one leaves the old users in place. */
export const reloadAuthKeys: Endpoint = async (exchange, context) => {
  await context.reloadUsers();
  exchange.sendJson(200, {});
};
