/** What the service is started with: systemd-importd's options, and no words. */

import {parseArgs} from 'node:util';
import {describedObjects, introspectionXml} from '../../dbus/service/introspection.ts';
import {ImgctlError} from '../../errors.ts';
import {packageVersion} from '../package-root.ts';
import type {Scope} from '../paths.ts';

export const programName = 'imgctl-importd';

const help = `${programName} [OPTION...]

Pulls, imports and exports images for callers on D-Bus and Varlink.

  -h --help                  Show this help
     --version               Show the version
     --bus-introspect=PATH   Print what the object at PATH has; list: which objects there are
     --system                Serve on the system bus
     --user                  Serve on the user's bus, in the user's own directories

See imgctl-importd(8).
`;

/** Either a text to print, or how to serve. */
export type ServiceOrder = {print: string} | {scope: Scope};

export function parseServiceArguments(words: readonly string[]): ServiceOrder {
  const {values} = parsed(words);
  if (values.help) return {print: help};
  if (values.version) return {print: `${programName} ${packageVersion()}\n`};
  const objectPath = values['bus-introspect'];
  if (objectPath !== undefined) return {print: introspected(objectPath)};
  return {scope: values.user ? 'user' : 'system'};
}

function parsed(words: readonly string[]) {
  const flag = {type: 'boolean'} as const;
  const options = {
    ...{help: {...flag, short: 'h'}, version: flag, system: flag, user: flag},
    'bus-introspect': {type: 'string'},
  } as const;
  try {
    const found = parseArgs({args: [...words], options, strict: true, allowPositionals: false});
    if (found.values.user && found.values.system)
      throw new ImgctlError('Usage', '--user and --system exclude each other');
    return found;
  } catch (error) {
    if (error instanceof ImgctlError) throw error;
    throw new ImgctlError('Usage', (error as Error).message.split('.')[0] ?? '', {cause: error});
  }
}

function introspected(objectPath: string): string {
  if (objectPath === 'list')
    return describedObjects.map(({path, description}) => `${path}\t${description.name}\n`).join('');
  const found = describedObjects.find(({path}) => path === objectPath);
  if (!found) throw new ImgctlError('Usage', `Object path ${objectPath} not found`);
  return introspectionXml([found.description], found.children);
}
