/** What lies around imgctl on this host: programs, the bus, sources and proxies, and how to get what is missing (`doctor`). */

import {existsSync} from 'node:fs';
import path from 'node:path';
import type {DoctorCheck} from '../actions/doctor-context.ts';
import {busAddress} from '../dbus/bus-address.ts';
import {maskUrl} from '../http/mask-url.ts';
import type {SourceSettings} from '../sources/source.ts';
import {keyringFiles} from './paths.ts';

type Variables = Readonly<Record<string, string | undefined>>;

export interface Surroundings {
  env: Variables;
  root: string | undefined;
  /** Undefined when the configuration names none, and the built-in one is asked. */
  sources?: readonly SourceSettings[] | undefined;
}

export function checkSurroundings({env, root, sources}: Surroundings): DoctorCheck[] {
  return [
    checkSources(sources),
    checkProxy(env),
    checkNspawn(env),
    checkBus(env),
    checkKeyrings(keyringFiles(env, root)),
  ];
}

function checkSources(sources: Surroundings['sources']): DoctorCheck {
  const subject = 'sources';
  if (sources === undefined) {
    const message =
      'none is configured, so https://images.smartos.org is asked; to add one: imgctl sources -a URL';
    return {subject, status: 'note', message};
  }
  if (sources.length === 0)
    return {subject, status: 'note', message: 'none is left; to add one: imgctl sources -a URL'};
  const names = sources.map(({name, url}) => name ?? maskUrl(url)).join(', ');
  return {subject, status: 'ok', message: `${names}; to ask them: imgctl sources -c`};
}

/** In the order in which they win (spec/imgadm.md §2.3). */
const proxyVariables = ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY'];

function checkProxy(env: Variables): DoctorCheck {
  const subject = 'proxy';
  const variable = proxyVariables.find((name) => env[name]);
  if (!variable) return {subject, status: 'ok', message: 'none; sources are asked directly'};
  const none = env.no_proxy || env.NO_PROXY;
  const but = none ? `, but not for ${none}` : '';
  return {
    subject,
    status: 'ok',
    message: `${maskUrl(env[variable] ?? '')} (${variable}) for all requests${but}`,
  };
}

function checkNspawn(env: Variables): DoctorCheck {
  const subject = 'machines';
  const found = findProgram('systemd-nspawn', env);
  if (found) return {subject, status: 'ok', message: `${found} boots instances`};
  const message =
    'there is no systemd-nspawn to boot instances and to run prepare scripts; on Debian: apt install systemd-container';
  return {subject, status: 'note', message};
}

/** Looks at files only: asking would start the service. */
function checkBus(env: Variables): DoctorCheck {
  const subject = 'bus';
  const socket = /(?:^|;)unix:path=([^,;]+)/.exec(busAddress('system', env))?.[1];
  if (socket === undefined || !existsSync(socket)) {
    const message =
      'there is no system bus, so the engine "dbus" cannot be used; the embedded one needs none';
    return {subject, status: 'note', message};
  }
  const isOffered = ['/usr/share', '/usr/local/share', '/lib'].some((directory) =>
    existsSync(path.join(directory, 'dbus-1/system-services/org.freedesktop.import1.service')),
  );
  if (isOffered)
    return {
      subject,
      status: 'ok',
      message: `${socket}; org.freedesktop.import1 is started when it is called`,
    };
  const message = `${socket}; nobody offers org.freedesktop.import1: see imgctl-importd(8), or on Debian: apt install systemd-container`;
  return {subject, status: 'note', message};
}

function findProgram(name: string, env: Variables): string | undefined {
  const directories = [...(env.PATH ?? '').split(':'), '/usr/bin', '/usr/sbin', '/bin', '/sbin'];
  return directories
    .filter((directory) => path.isAbsolute(directory))
    .map((directory) => path.join(directory, name))
    .find((file) => existsSync(file));
}

function checkKeyrings(files: readonly string[]): DoctorCheck {
  const found = files.filter((file) => existsSync(file));
  const message =
    found.length > 0
      ? `${found.join(', ')}; gpg is not needed`
      : `none of ${files.join(', ')} is there, so pulls need --verify=checksum; images of sources need none`;
  return {subject: 'keyrings', status: found.length > 0 ? 'ok' : 'note', message};
}
