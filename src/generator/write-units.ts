/** Units and links in the output directory; nothing is written anywhere else, and nothing there is replaced. */

import {closeSync, mkdirSync, openSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {errnoOf} from '../errors.ts';
import {isImageWish, type Wish} from '../import1/pull-wish.ts';
import {errnoText, type Log} from './journal.ts';
import {templateUnitName} from './unit-name.ts';
import {type UnitSurroundings, unitText} from './unit-text.ts';
import {imagePath} from './wish-paths.ts';

export interface WantedUnit {
  wish: Wish;
  sourcePath: string;
}

export type UnitSettings = Omit<UnitSurroundings, 'loopUnit' | 'sourcePath'>;

/** Writes every unit it can; false if one failed. */
export function writeUnits(
  directory: string,
  wanted: readonly WantedUnit[],
  settings: UnitSettings,
  log: Log,
): boolean {
  let good = true;
  for (const [index, each] of wanted.entries()) {
    try {
      writeUnit(directory, each, index, settings);
    } catch (error) {
      if (!(error instanceof UnitFailure)) throw error;
      log('error', error.message);
      good = false;
    }
  }
  return good;
}

class UnitFailure extends Error {}

function writeUnit(directory: string, wanted: WantedUnit, index: number, settings: UnitSettings): void {
  const {wish, sourcePath} = wanted;
  const {is257} = settings.style;
  const unit = is257 ? `import${index}.service` : unitNameFor(wish, 'import');
  const loopUnit = !isImageWish(wish) && wish.blockdev ? unitNameFor(wish, 'loop') : undefined;
  const text = unitText(wish, {...settings, sourcePath, loopUnit});
  const file = `${directory}/${unit}`;
  try {
    writeNewFile(bytePath(file), text);
  } catch (error) {
    throw new UnitFailure(`Failed to create unit file '${file}': ${errnoText(errnoOf(error))}`);
  }
  const target = is257 ? 'multi-user.target' : 'imports.target';
  addLink(directory, target, unit);
  if (loopUnit !== undefined) addLink(directory, target, loopUnit);
}

/** Whole or not at all: half a unit would be read as a unit. */
function writeNewFile(file: Buffer, text: string): void {
  const fd = openSync(file, 'wx', 0o644);
  try {
    writeFileSync(fd, text, 'latin1');
  } catch (error) {
    rmSync(file, {force: true});
    throw error;
  } finally {
    closeSync(fd);
  }
}

function unitNameFor(wish: Wish, kind: 'import' | 'loop'): string {
  const path = imagePath(wish);
  const named = templateUnitName(`systemd-${kind}`, path);
  if ('unit' in named) return named.unit;
  throw new UnitFailure(`Failed to build ${kind} unit name from '${path}': ${errnoText(named.code)}`);
}

/** A link that is there already is as good as a new one. */
function addLink(directory: string, target: string, unit: string): void {
  const folder = `${directory}/${target}.wants`;
  const link = `${folder}/${unit}`;
  try {
    mkdirSync(bytePath(folder), {mode: 0o755, recursive: true});
  } catch {
    // The link says what is wrong.
  }
  try {
    symlinkSync(`../${unit}`, bytePath(link));
  } catch (error) {
    const code = errnoOf(error);
    if (code !== 'EEXIST') throw new UnitFailure(`Failed to create symlink ${link}: ${errnoText(code)}`);
  }
}

function bytePath(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
