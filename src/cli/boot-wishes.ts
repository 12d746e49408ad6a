/** The wishes of this machine as text, for commands; the generator's room works on bytes. */

import path from 'node:path';
import {ImgctlError} from '../errors.ts';
import {readBootOrigin} from '../generator/boot-origin.ts';
import {readBootWishes} from '../generator/generate.ts';
import {parsePullExpression} from '../generator/pull-expression.ts';
import {templateUnitName} from '../generator/unit-name.ts';
import {readWantedFiles} from '../generator/wanted-files.ts';
import {imagePath} from '../generator/wish-paths.ts';
import {isImageWish, type Wish} from '../import1/pull-wish.ts';
import type {CommandContext} from './context.ts';
import {efivarsDirectory, readBootInput} from './import-generator.ts';

/** The wishes of wanted.d; what is refused is warned about. */
export function wantedWishes(context: CommandContext): Wish[] {
  const directory = path.join(path.dirname(context.paths.configFile), 'wanted.d');
  return readWantedFiles(directory, (_level, line) => context.output.warn(textOf(line))).map(({wish}) =>
    asText(wish),
  );
}

/** One pull expression of the command line; `Usage` for one that is refused. */
export function wishOfExpression(context: CommandContext, expression: string): Wish {
  const said: string[] = [];
  const parsed = parsePullExpression(Buffer.from(expression, 'utf8').toString('latin1'), {
    inInitrd: false,
    is257: false,
    bootOrigin: () => readBootOrigin(efivarsDirectory(context.environment.env)),
    log: (level, line) => {
      if (level === 'error') said.push(textOf(line));
      else if (level === 'warning') context.output.warn(textOf(line));
    },
  });
  if (typeof parsed === 'object') return asText(parsed.wish);
  const hint = said[0];
  throw new ImgctlError('Usage', `invalid pull expression: "${expression}"`, hint ? {hint} : {});
}

export interface BootWish {
  wish: Wish;
  unit: string | undefined;
  sourcePath: string;
  inInitrd: boolean;
}

export interface BootPlan {
  wishes: BootWish[];
  /** What was refused or ignored, as the generator says it. */
  complaints: string[];
}

/** What the generator makes of this boot: in the initrd, of which only the command line is seen from here, and on the host. */
export function readBootPlan(context: CommandContext): BootPlan {
  const complaints: string[] = [];
  const log = (level: string, line: string): void => {
    if (level === 'error' || level === 'warning') complaints.push(textOf(line));
  };
  const input = readBootInput(bootEnvironment(context), path.dirname(context.paths.configFile), log);
  const sides = [
    {...input, inInitrd: true, wanted: [], credential: undefined},
    {...input, inInitrd: false},
  ];
  const wishes = sides.flatMap((side) =>
    readBootWishes(side, false, log).wanted.map(({wish, sourcePath}): BootWish => {
      const named = templateUnitName('systemd-import', imagePath(wish));
      const unit = 'unit' in named ? named.unit : undefined;
      return {wish: asText(wish), unit, sourcePath: textOf(sourcePath), inInitrd: side.inInitrd};
    }),
  );
  return {wishes, complaints};
}

/** The service manager's own credentials, which generators see, lie in the same place for everybody. */
function bootEnvironment(context: CommandContext): Readonly<Record<string, string | undefined>> {
  return {
    CREDENTIALS_DIRECTORY: '/run/credentials/@system',
    ENCRYPTED_CREDENTIALS_DIRECTORY: '/run/credentials/@encrypted',
    ...context.environment.env,
  };
}

function asText(wish: Wish): Wish {
  const localName = wish.localName === undefined ? undefined : textOf(wish.localName);
  if (!isImageWish(wish)) return {...wish, localName};
  const channel = wish.channel === undefined ? undefined : textOf(wish.channel);
  return {...wish, localName, image: textOf(wish.image), channel};
}

function textOf(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
