import {readFileSync} from 'node:fs';
import {ImgctlError} from '../../errors.ts';
import type {BusConnection} from '../bus-connection.ts';
import {BusError, busErrorNames} from '../bus-error.ts';
import type {AuthoritySources, PolkitAnswer, PolkitQuestion, PolkitSubject} from './authority.ts';

const interactionAllowed = 1;
/** Errors that mean that no polkit runs here and none can be started. */
const absent: readonly string[] = [
  busErrorNames.serviceUnknown,
  busErrorNames.nameHasNoOwner,
  'org.freedesktop.DBus.Error.Spawn.ServiceNotFound',
  'org.freedesktop.systemd1.NoSuchUnit',
];

/**
 * What the bus knows of callers, and what polkit on the same bus says (polkit's D-Bus interface, "CheckAuthorization").
 * Before there is a bus, there is no polkit.
 */
export function busAuthoritySources(bus: () => BusConnection | undefined, ownUid: number): AuthoritySources {
  return {
    ownUid,
    callerUid: async (sender) => {
      const [uid] = await connected(bus()).call({
        destination: 'org.freedesktop.DBus',
        path: '/org/freedesktop/DBus',
        interface: 'org.freedesktop.DBus',
        member: 'GetConnectionUnixUser',
        signature: 's',
        body: [sender],
      });
      return Number(uid);
    },
    askPolkit: async (question) => {
      const connection = bus();
      return connection && askPolkit(connection, question);
    },
  };
}

function connected(bus: BusConnection | undefined): BusConnection {
  if (bus) return bus;
  throw new ImgctlError('BusUnavailable', 'there is no bus to ask who calls');
}

async function askPolkit(bus: BusConnection, question: PolkitQuestion): Promise<PolkitAnswer | undefined> {
  const {subject, action, mayInteract, details} = question;
  try {
    const [answer] = await bus.call({
      destination: 'org.freedesktop.PolicyKit1',
      path: '/org/freedesktop/PolicyKit1/Authority',
      interface: 'org.freedesktop.PolicyKit1.Authority',
      member: 'CheckAuthorization',
      signature: '(sa{sv})sa{ss}us',
      body: [subjectOf(subject), action, Object.entries(details), mayInteract ? interactionAllowed : 0, ''],
      timeoutMs: 0, // somebody may be asked for a password
    });
    const [isAuthorized, isChallenge] = answer as [boolean, boolean];
    return {isAuthorized, isChallenge};
  } catch (error) {
    if (error instanceof BusError && absent.includes(error.errorName)) return undefined;
    // An action that polkit does not know, or a caller that has gone: no right either way.
    if (error instanceof BusError) return {isAuthorized: false, isChallenge: false};
    throw error;
  }
}

function subjectOf(subject: PolkitSubject): unknown[] {
  if ('sender' in subject) return ['system-bus-name', [['name', ['s', subject.sender]]]];
  const {pid, uid} = subject.peer;
  const properties = [
    ['pid', ['u', pid]],
    ['start-time', ['t', startTime(pid)]],
    ['uid', ['i', uid]],
  ];
  return ['unix-process', properties];
}

/** Field 22 of proc_pid_stat(5), behind the name, which may hold anything; 0 for a process that has gone. */
function startTime(pid: number): bigint {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return BigInt(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? 0);
  } catch {
    return 0n;
  }
}
