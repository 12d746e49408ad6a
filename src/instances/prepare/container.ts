/**
 * Runs a program in a copy of an instance under systemd-nspawn (spec/mdata.md §6): no network, users of its own, few
 * capabilities, no init. Neither a bus nor systemd as PID 1 is needed. All processes and mounts are in namespaces of
 * one process, which is killed when this one ends, however it ends; nothing of the host is written.
 */
import {closeSync, existsSync, openSync} from 'node:fs';
import {ImgctlError} from '../../errors.ts';
import {type ProcessEnd, programPath, type RunningProcess, startProcess} from '../../sys/run.ts';
import {findRootPartition} from './root-partition.ts';

export interface ContainerRequest {
  /** A directory tree, or a disk whose root file system is mounted. Both are written to. */
  copy: {path: string; sizeBytes?: number};
  /** An empty directory to mount a disk on. */
  mountPoint: string;
  /** Unique among containers. */
  machine: string;
  /** What the guest calls itself, if it is a host name. */
  hostname: string;
  /** Its host's number for its root, the first of 65536; undefined: users are those of the host. */
  firstUserId: number | undefined;
  terminalPath: string;
  socketDirectory: string;
  clientDirectory: string;
  scriptFile: string;
  hasNetwork: boolean;
  signal: AbortSignal;
}

const searchPath = '/run/imgctl/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const hostPattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;
/** Cleaning a tree takes none of them. */
const dropped = [
  'AUDIT_CONTROL',
  'AUDIT_WRITE',
  'IPC_OWNER',
  'LEASE',
  'LINUX_IMMUTABLE',
  'NET_ADMIN',
  'NET_BIND_SERVICE',
  'NET_BROADCAST',
  'NET_RAW',
  'SYS_ADMIN',
  'SYS_NICE',
  'SYS_PTRACE',
  'SYS_RESOURCE',
  'SYS_TTY_CONFIG',
].map((name) => `CAP_${name}`);

/**
 * The folders that nspawn makes are on a file system of their own. A disk is unmounted before the end, so that all of it
 * is in its file. A constant text; names come as arguments.
 */
const wrapScript = `
set -eu
disk=$1 offset=$2 size=$3 place=$4
shift 4
mkdir -p /run/systemd/nspawn
mount -t tmpfs -o mode=0755 tmpfs /run/systemd/nspawn
if [ -z "$disk" ]; then exec "$@"; fi
mount -o "loop,nosuid,nodev,offset=$offset,sizelimit=$size" -- "$disk" "$place"
status=0
"$@" || status=$?
umount -- "$place"
exit "$status"
`;

/** Starts it; ends with the program's own status, 255 when a signal killed it. */
export function startContainer(request: ContainerRequest): RunningProcess {
  const {copy, mountPoint} = request;
  const part = copy.sizeBytes === undefined ? undefined : rootOf(copy.path, copy.sizeBytes);
  const disk = part ? [copy.path, String(part.offset), String(part.sizeBytes), mountPoint] : ['', '', '', ''];
  const tree = part ? mountPoint : copy.path;
  const namespaces = ['--pid', '--fork', '--kill-child', '--mount', '--mount-proc'];
  const wrapped = [
    'sh',
    '-c',
    wrapScript,
    'sh',
    ...disk,
    'systemd-nspawn',
    ...containerOptions(request, tree),
  ];
  return startProcess('setpriv', ['--pdeathsig', 'KILL', 'unshare', ...namespaces, ...wrapped], {
    signal: request.signal,
    graceMs: 0, // unshare ignores SIGTERM, and the copy is thrown away
  });
}

function containerOptions(request: ContainerRequest, tree: string): string[] {
  const {firstUserId, terminalPath, socketDirectory, clientDirectory, scriptFile, machine} = request;
  const users =
    firstUserId === undefined
      ? []
      : [`--private-users=${firstUserId}:65536`, '--private-users-ownership=map'];
  return [
    ...['-q', '--register=no', '--keep-unit', '--console=pipe', '--as-pid2'],
    ...[
      '-D',
      tree,
      '-M',
      machine,
      `--hostname=${hostPattern.test(request.hostname) ? request.hostname : machine}`,
    ],
    ...(request.hasNetwork ? [] : ['--private-network']),
    ...users,
    `--drop-capability=${dropped.join(',')}`,
    '--no-new-privileges=yes',
    ...['--link-journal=no', '--resolv-conf=off', '--timezone=off'],
    `--setenv=PATH=${searchPath}`,
    `--bind=${terminalPath}:/dev/ttyS1`,
    `--bind=${escaped(socketDirectory)}:/run/imgctl/md`,
    `--bind-ro=${escaped(clientDirectory)}:/run/imgctl/bin`,
    `--bind-ro=${escaped(scriptFile)}:/run/imgctl/script`,
    '/run/imgctl/script',
  ];
}

/** A colon would end the path. */
function escaped(file: string): string {
  return file.replace(/[\\:]/g, '\\$&');
}

function rootOf(disk: string, sizeBytes: number): {offset: number; sizeBytes: number} {
  const fd = openSync(disk, 'r');
  try {
    return findRootPartition(fd, sizeBytes);
  } finally {
    closeSync(fd);
  }
}

/** Says that this directory's file system or kernel cannot map users, and that nothing was run. */
export function isMappingRefused(end: ProcessEnd): boolean {
  return end.exitCode === 1 && /id ?map|idmapped|user namespace/i.test(end.stderrTail);
}

/** `NotSupported` or `NotAuthorized` where no container can be started. */
export function requireContainers(): void {
  if (process.geteuid?.() !== 0) throw new ImgctlError('NotAuthorized', 'only root can run prepare scripts');
  const isThere = programPath.split(':').some((directory) => existsSync(`${directory}/systemd-nspawn`));
  if (isThere) return;
  throw new ImgctlError(
    'NotSupported',
    'the program "systemd-nspawn" is not installed, and prepare scripts need it',
    {
      hint: 'install the package systemd-container',
    },
  );
}
