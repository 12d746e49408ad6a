/** Pools by name (design.md §5): `zones` is what the default pool is called in messages and JSON. */

import {ImgctlError} from '../errors.ts';
import type {Pool} from './context.ts';

const defaultPoolAlias = 'zones';

/** The pool named; without a name the default one. `InvalidArgument` naming those there are. */
export function getPool(pools: readonly Pool[], name: string | undefined): Pool {
  const first = pools[0];
  if (!first) throw new ImgctlError('ConfigError', 'no pool is configured');
  if (name === undefined || name === defaultPoolAlias) return first;
  const found = pools.find((pool) => pool.name === name);
  if (found) return found;
  const known = [defaultPoolAlias, ...pools.map((pool) => pool.name)].join(', ');
  throw new ImgctlError('InvalidArgument', `unknown pool: "${name}"`, {hint: `pools are: ${known}`});
}

/** What the `zpool` key and messages print for a pool. */
export function poolText(pools: readonly Pool[], name: string): string {
  return name === pools[0]?.name ? defaultPoolAlias : name;
}
