import type {Endpoint} from './exchange.ts';

/** The paths of the older dataset API (spec/imgapi.md §6) lead to today's. */
export const redirectDatasets: Endpoint = (exchange) => {
  exchange.send(301, {Location: '/images'}, '');
};

/** A UUID, or a URN of two to four parts that ends in NAME:VERSION. */
export const redirectDataset: Endpoint = (exchange) => {
  const [, , id = ''] = exchange.path.split('/');
  const parts = id.split(':');
  const [name = '', version = ''] = parts.slice(-2);
  const target = parts.length < 2 ? `/images/${id}` : `/images/?name=${name}&version=${version}`;
  exchange.send(301, {Location: target}, '');
};
