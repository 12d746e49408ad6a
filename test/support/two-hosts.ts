/** Two hosts below one directory, and the server between them. */
import {spawnSync} from 'node:child_process';
import {mkdirSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {expect} from 'vitest';
import {type Outcome, World} from './world.ts';

export class Host {
  readonly root: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor(root: string, env: NodeJS.ProcessEnv, url: string) {
    this.root = root;
    this.#env = {...env, IMGCTL_ROOT: root};
    mkdirSync(path.join(root, 'etc/imgctl'), {recursive: true});
    mkdirSync(this.machine(''), {recursive: true});
    const sources = [{url, type: 'imgapi'}];
    writeFileSync(path.join(root, 'etc/imgctl/config.json'), JSON.stringify({sources}));
  }

  /** Where a machine of that name lies. */
  machine(name: string): string {
    return path.join(this.root, 'var/lib/machines', name);
  }

  try(...args: string[]): Outcome {
    const {status, signal, stdout, stderr} = spawnSync('imgctl', args, {
      env: this.#env,
      cwd: this.root,
      encoding: 'utf8',
      timeout: 100_000,
    });
    return {status, signal, stdout, stderr};
  }

  /** What it printed; fails unless it ended well. */
  run(...args: string[]): string {
    const {status, stdout, stderr} = this.try(...args);
    expect(status, stderr).toBe(0);
    return stdout;
  }
}

export interface TwoHosts {
  maker: Host;
  user: Host;
  world: World;
}

export async function withTwoHosts(
  directory: string,
  use: (hosts: TwoHosts) => Promise<void>,
): Promise<void> {
  const world = await new World().start();
  try {
    const [maker, user] = ['maker', 'user'].map((name) => {
      return new Host(path.join(directory, name), world.env, world.url);
    }) as [Host, Host];
    await use({maker, user, world});
  } finally {
    await world.end();
  }
}
