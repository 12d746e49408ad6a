/**
 * The wrappers that take rights away from the unpacking child (spec/sandbox.md, L2), best first. Which one works
 * is found by trying it, because no file tells it; the least one is nothing at all, and that is said.
 */
import {ImgctlError} from '../../errors.ts';
import {runProcess} from '../../sys/run.ts';

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
  unshare: undefined,
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

export class Sandbox {
  readonly #mode: SandboxMode;
  readonly #isRoot: boolean;
  #level: Promise<SandboxLevel> | undefined;

  constructor(mode: SandboxMode, isRoot: boolean) {
    this.#mode = mode;
    this.#isRoot = isRoot;
  }

  /** Tells what protects the unpacking child; `probeDirectory` is any directory that is there. */
  async report(probeDirectory: string): Promise<SandboxReport> {
    const level = await this.#choose(probeDirectory);
    return {level, notice: this.#mode === 'off' ? undefined : notices[level]};
  }

  /** The command line that runs `command` in the sandbox, with the target as working directory. */
  async wrap(command: readonly string[], request: WrapRequest): Promise<string[]> {
    const level = await this.#choose(request.target);
    return wrapped(level, this.#isRoot, command, request);
  }

  async #choose(probeDirectory: string | undefined): Promise<SandboxLevel> {
    this.#level ??= this.#probe(probeDirectory);
    return await this.#level;
  }

  async #probe(target: string | undefined): Promise<SandboxLevel> {
    if (this.#mode === 'off') return 'none';
    const levels: SandboxLevel[] = this.#isRoot ? ['bwrap', 'unshare', 'setpriv'] : ['bwrap', 'setpriv'];
    for (const level of levels) {
      if (this.#mode === 'require' && level === 'setpriv') break;
      const [program = '', ...list] = wrapped(level, this.#isRoot, ['true'], {target});
      const end = await runProcess(program, list).catch(() => undefined); // not installed: the next one
      if (end?.exitCode === 0) return level;
    }
    if (this.#mode === 'auto') return 'none';
    throw new ImgctlError('NotSupported', 'No sandbox works here, and the configuration requires one', {
      hint: 'Install bubblewrap, or set --sandbox=auto',
    });
  }
}

function wrapped(
  level: SandboxLevel,
  isRoot: boolean,
  command: readonly string[],
  request: WrapRequest,
): string[] {
  const {target, readable, capabilities = unpackingNeeds} = request;
  const hideRun = ![target ?? '', readable ?? ''].some((path) => path === '/run' || path.startsWith('/run/'));
  const dropped = ['--no-new-privs', ...(isRoot ? boundingSet(capabilities) : []), ...command];
  if (level === 'bwrap') {
    const hide = hideRun ? ['--tmpfs', '/run'] : [];
    const rights = ['--cap-drop', 'ALL', ...(isRoot ? keptByBwrap(capabilities) : [])];
    const place = [
      '--ro-bind',
      '/',
      '/',
      '--dev',
      '/dev',
      '--proc',
      '/proc',
      ...hide,
      ...(target === undefined ? [] : ['--bind', target, target]),
    ];
    const namespaces = ['--unshare-net', '--unshare-pid', '--unshare-ipc', '--unshare-uts'];
    return [
      'bwrap',
      ...place,
      ...namespaces,
      '--die-with-parent',
      '--new-session',
      '--chdir',
      target ?? '/',
      ...rights,
      ...command,
    ];
  }
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
    const script = ['sh', '-c', readOnlyScript, 'sh', target ?? '', hideRun ? 'yes' : 'no'];
    return ['unshare', ...namespaces, ...script, 'setpriv', ...dropped];
  }
  return level === 'setpriv' ? ['setpriv', '--pdeathsig', 'KILL', ...dropped] : [...command];
}

function boundingSet(capabilities: readonly string[]): string[] {
  return [`--bounding-set=-all,${capabilities.map((name) => `+${name}`).join(',')}`, '--inh-caps=-all'];
}

function keptByBwrap(capabilities: readonly string[]): string[] {
  return capabilities.flatMap((name) => ['--cap-add', `CAP_${name.toUpperCase()}`]);
}
