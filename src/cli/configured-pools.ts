/** Pools of the configuration (design.md §5) as actions know them, and the engine that keeps images in all of them. */
import type {Pool} from '../actions/context.ts';
import type {EmbeddedEngine} from '../engine/embedded/embedded-engine.ts';
import type {Engine} from '../engine/engine.ts';
import type {Configuration, ConfiguredPool} from './config.ts';

export function configuredPools({pools = {}}: Configuration): Pool[] {
  return Object.entries(pools).map(([name, pool]) => {
    if (pool.type === 'zfs') return zfsPool(name, pool);
    return {name, store: {imageClass: pool.class, directory: pool.directory}};
  });
}

function zfsPool(name: string, {dataset}: ConfiguredPool & {type: 'zfs'}): Pool {
  const store = {imageClass: 'machine', directory: `/${dataset}`, dataset} as const;
  const freeBytes = async () => {
    const {readFreeBytes} = await import('../engine/zfs-pool/read-datasets.ts');
    return readFreeBytes(dataset);
  };
  return {name, store, freeBytes};
}

export function hasZfsPool({pools = {}}: Configuration): boolean {
  return Object.values(pools).some(({type}) => type === 'zfs');
}

/** Whoever has no pool of type zfs gets the engine as it is, and loads no other. */
export async function withConfiguredPools(
  directories: EmbeddedEngine,
  configuration: Configuration,
  runtimeDirectory: string,
): Promise<Engine> {
  if (!hasZfsPool(configuration)) return directories;
  const {PoolEngine} = await import('../engine/pool-engine.ts');
  return new PoolEngine(directories, runtimeDirectory);
}
