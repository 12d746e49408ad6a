/**
 * The wrappers that take rights away from the unpacking child (spec/sandbox.md, L2), best first. Which one works
 * is found by trying it, because no file tells it; the least one is nothing at all, and that is said.
 */
import {closeSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {ImgctlError} from '../../errors.ts';
import {type RunningProcess, type RunOptions, startProcess} from '../../sys/run.ts';
import {openSeccompProgram} from './seccomp.ts';

/** Behind standard input, output and error. */
const firstDescriptor = 3;

export type SandboxMode = 'auto' | 'require' | 'off';
export type SandboxLevel = 'bwrap' | 'unshare' | 'setpriv' | 'none';

export interface SandboxReport {
  level: SandboxLevel;
  /** What is missing compared with the best, a sentence; undefined for the best. */
  notice: string | undefined;
}

export interface WrapRequest {
  /** The only place that may be written; absolute, without symbolic links. Undefined: nothing may be. */
  target: string | undefined;
  /** A directory that must be readable although it may lie below /run. */
  readable?: string;
  /** Which rights of root stay; by default those that unpacking needs. */
  capabilities?: readonly string[];
}

const unpackingNeeds = ['chown', 'fowner', 'fsetid', 'mknod', 'setfcap', 'dac_override'];

const notices: Record<SandboxLevel, string | undefined> = {
  bwrap: undefined,
  unshare: 'Archives are unpacked without a filter on system calls: bwrap does not work here',
  setpriv:
    'Archives are unpacked with fewer rights but can see and reach everything: bwrap and unshare do not work here',
  none: 'Archives are unpacked with all rights of the caller: no sandbox works here (bwrap, unshare, setpriv)',
};

/**
 * Makes every mount but the target read-only. A constant text; names come as arguments. Each mount is named,
 * because a remount is not recursive; one that cannot be remounted must be hidden by another.
 */
const readOnlyScript = `
set -eu
target=$1 hide=$2
shift 2
if [ -n "$target" ]; then mount --bind -- "$target" "$target"; fi
if [ "$hide" = yes ]; then mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs /run; fi
mounts=$(cat /proc/self/mountinfo)
while read -r _ _ _ _ place _; do
  place=$(printf '%b' "$place")
  if [ "$place" != "$target" ]; then
    mount -o remount,bind,ro -- "$place" 2>/dev/null || ! mountpoint -q -- "$place"
  fi
done <<END
$mounts
END
if [ -z "$target" ]; then target=/; fi
cd -- "$target"
exec "$@"
`;

/** Which wrappers to try, by who runs them. */
export function sandboxLevels(mode: SandboxMode, isRoot: boolean): readonly SandboxLevel[] {
  if (mode === 'off') return ['none'];
  const strong: SandboxLevel[] = isRoot ? ['bwrap', 'unshare'] : ['bwrap'];
  return mode === 'require' ? strong : [...strong, 'setpriv', 'none'];
}

export class Sandbox {
  readonly #levels: readonly SandboxLevel[];
  readonly #isRoot: boolean;
  #level: Promise<SandboxLevel> | undefined;

  constructor(levels: readonly SandboxLevel[], isRoot: boolean) {
    this.#levels = levels;
    this.#isRoot = isRoot;
  }

  /** Tells what protects the unpacking child; `probeDirectory` is any directory that may be written. */
  async report(probeDirectory: string): Promise<SandboxReport> {
    const level = await this.#choose(probeDirectory);
    return {level, notice: level === this.#levels[0] ? undefined : notices[level]};
  }

  /** Starts `command` in the sandbox, with the target as working directory. */
  async start(
    command: readonly string[],
    request: WrapRequest,
    options: RunOptions,
  ): Promise<RunningProcess> {
    return this.#startAt(await this.#choose(request.target), command, request, options);
  }

  /**
   * The same without finding out first whether the best wrapper works, which takes half as long as a child to begin. Where
   * the command did not get to run, `isBestWorking` tells whether that was the wrapper's fault; if it did, `confirm`.
   */
  async startAtOnce(
    command: readonly string[],
    request: WrapRequest,
    options: RunOptions,
  ): Promise<RunningProcess> {
    const [best] = this.#levels;
    const level = this.#level || best === undefined ? await this.#choose(request.target) : best;
    return this.#startAt(level, command, request, options);
  }

  confirm(): void {
    const [best] = this.#levels;
    if (best !== undefined) this.#level ??= Promise.resolve(best);
  }

  async isBestWorking(probeDirectory: string | undefined): Promise<boolean> {
    return (await this.#choose(probeDirectory)) === this.#levels[0];
  }

  async #choose(probeDirectory: string | undefined): Promise<SandboxLevel> {
    this.#level ??= this.#probe(probeDirectory);
    return await this.#level;
  }

  async #probe(target: string | undefined): Promise<SandboxLevel> {
    for (const level of this.#levels) {
      if (level === 'none') return level;
      // A wrapper that is not installed is as good as one that does not work.
      const end = await this.#startAt(level, ['true'], {target}, {}).ended.catch(() => undefined);
      if (end?.exitCode === 0) return level;
    }
    throw new ImgctlError('NotSupported', 'No sandbox works here, and the configuration requires one', {
      hint: 'Install bubblewrap, or set --sandbox=auto',
    });
  }

  #startAt(
    level: SandboxLevel,
    command: readonly string[],
    request: WrapRequest,
    options: RunOptions,
  ): RunningProcess {
    const filter = level === 'bwrap' ? openSeccompProgram(request.target ?? tmpdir()) : undefined;
    const descriptors = [...(options.descriptors ?? []), ...(filter === undefined ? [] : [filter])];
    const filterFd = filter === undefined ? undefined : firstDescriptor + descriptors.length - 1;
    try {
      const [program = '', ...list] = wrapped(level, command, {...request, isRoot: this.#isRoot, filterFd});
      return startProcess(program, list, {...options, cwd: request.target ?? '/', descriptors});
    } finally {
      if (filter !== undefined) closeSync(filter);
    }
  }
}

interface Wrapping extends WrapRequest {
  isRoot: boolean;
  /** Descriptor of the child that holds a filter, if there is one. */
  filterFd: number | undefined;
}

function wrapped(level: SandboxLevel, command: readonly string[], wrapping: Wrapping): string[] {
  const dropped = ['--no-new-privs', ...(wrapping.isRoot ? boundingSet(rightsOf(wrapping)) : []), ...command];
  if (level === 'bwrap') return ['bwrap', ...bwrapOptions(wrapping), ...command];
  if (level === 'unshare') {
    const namespaces = [
      '--net',
      '--ipc',
      '--uts',
      '--pid',
      '--fork',
      '--kill-child',
      '--mount',
      '--mount-proc',
    ];
    const script = [
      'sh',
      '-c',
      readOnlyScript,
      'sh',
      wrapping.target ?? '',
      hidesRun(wrapping) ? 'yes' : 'no',
    ];
    // Not of the child's own making: nobody else would end it when this process is killed.
    return ['setpriv', '--pdeathsig', 'KILL', 'unshare', ...namespaces, ...script, 'setpriv', ...dropped];
  }
  return level === 'setpriv' ? ['setpriv', '--pdeathsig', 'KILL', ...dropped] : [...command];
}

function bwrapOptions(wrapping: Wrapping): string[] {
  const {target, isRoot, filterFd} = wrapping;
  return [
    ...['--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc'],
    ...(hidesRun(wrapping) ? ['--tmpfs', '/run'] : []),
    ...(target === undefined ? [] : ['--bind', target, target]),
    ...['--chdir', target ?? '/'],
    ...[
      '--unshare-net',
      '--unshare-pid',
      '--unshare-ipc',
      '--unshare-uts',
      '--die-with-parent',
      '--new-session',
    ],
    ...['--cap-drop', 'ALL', ...(isRoot ? keptByBwrap(rightsOf(wrapping)) : [])],
    ...(filterFd === undefined ? [] : ['--seccomp', String(filterFd)]),
  ];
}

/** The sockets of services are there; but what must be read or written may be there too. */
function hidesRun({target = '/', readable = '/'}: WrapRequest): boolean {
  return ![target, readable].some((place) => place === '/run' || place.startsWith('/run/'));
}

function rightsOf({capabilities = unpackingNeeds}: WrapRequest): readonly string[] {
  return capabilities;
}

function boundingSet(capabilities: readonly string[]): string[] {
  const kept = capabilities.map((name) => `,+${name}`).join('');
  return [`--bounding-set=-all${kept}`, '--inh-caps=-all'];
}

function keptByBwrap(capabilities: readonly string[]): string[] {
  return capabilities.flatMap((name) => ['--cap-add', `CAP_${name.toUpperCase()}`]);
}
