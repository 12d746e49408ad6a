/** Where the package lies: the bundle is in dist/ (or dist/chunks/), sources in src/. */

import {existsSync, readFileSync} from 'node:fs';
import path from 'node:path';

export function packageRoot(): string {
  let directory = import.meta.dirname;
  while (!existsSync(path.join(directory, 'package.json'))) {
    const parent = path.dirname(directory);
    if (parent === directory) throw new Error('package.json not found above the program');
    directory = parent;
  }
  return directory;
}

export function packageVersion(): string {
  return JSON.parse(readFileSync(path.join(packageRoot(), 'package.json'), 'utf8')).version;
}

/** Where the catalog's migrations lie. */
export function migrationsDirectory(): string {
  return path.join(packageRoot(), 'migrations');
}
