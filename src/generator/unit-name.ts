/** Names of units made from paths, as systemd-escape --path makes them. */

const maxUnitNameBytes = 255;
/** A name that no file system takes makes no path. */
const maxFileNameBytes = 255;

/** Undefined for a path that has no name as a unit: one with `..` or with a name that is too long for a file. */
export function escapePath(path: string): string | undefined {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..') || parts.some((part) => part.length > maxFileNameBytes)) return undefined;
  const joined = parts.join('/');
  let escaped = '';
  for (const [index, character] of [...joined].entries()) {
    if (character === '/') escaped += '-';
    else if (/[A-Za-z0-9:_.]/.test(character) && !(index === 0 && character === '.')) escaped += character;
    else escaped += `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  }
  return escaped;
}

/** `systemd-import@PATH.service`, or the errno name of what is wrong with it. */
export function templateUnitName(template: string, path: string): {unit: string} | {code: string} {
  const escaped = escapePath(path);
  if (escaped === undefined) return {code: 'EINVAL'};
  const unit = `${template}@${escaped}.service`;
  return unit.length > maxUnitNameBytes ? {code: 'ENAMETOOLONG'} : {unit};
}
