import type {Endpoint} from './exchange.ts';
import {checkAdminFields} from './list-filter.ts';
import {visibleImage} from './visible-image.ts';

/** GetImage (spec/imgapi.md §3.3): in any state. */
export const getImage: Endpoint = (exchange, context) => {
  checkAdminFields(exchange);
  exchange.sendImage(visibleImage(exchange, context), context);
};
