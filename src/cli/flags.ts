/** Flags as data: what the parsers, the help and the manual check read. */

export interface FlagDefinition {
  kind: 'boolean' | 'string' | 'strings';
  char?: string;
  /** There is no long form; the name is for the tables only. */
  charOnly?: boolean;
  /** One line for --help and the manual; names the default where there is one. */
  summary: string;
  /** Placeholder of the value in help, upper case. */
  value?: string;
  /** Environment variable that sets it, named in help. */
  env?: string;
  /** The values it takes, when there are few. */
  options?: readonly string[];
  /** Means something else here than the global flag of that name. */
  shadows?: boolean;
  /** Taken, but not shown in help. */
  hidden?: boolean;
}

export type FlagTable = Readonly<Record<string, FlagDefinition>>;

type FlagValue<D extends FlagDefinition> = D['kind'] extends 'boolean'
  ? boolean
  : D['kind'] extends 'strings'
    ? string[]
    : string | undefined;

export interface ParsedInput<F extends FlagTable = FlagTable> {
  flags: {[K in keyof F]: FlagValue<F[K]>};
  args: string[];
}

/** Of commands that change something (ux.md §10). */
export const dryRunFlag = {
  'dry-run': {kind: 'boolean', char: 'n', summary: 'say what would be done, and change nothing'},
} as const satisfies FlagTable;

/** Of commands that do several things, each by itself (ux.md §7.1). */
export const failFastFlag = {
  'fail-fast': {kind: 'boolean', summary: 'stop at the first failure (default: go on with the others)'},
} as const satisfies FlagTable;

/** Flags that every command takes, before or after its name (ux.md §3.1). */
export const globalFlags = {
  help: {kind: 'boolean', char: 'h', summary: 'print help and exit'},
  verbose: {kind: 'boolean', char: 'v', summary: 'log everything to stderr, and stacks of errors'},
  quiet: {kind: 'boolean', char: 'q', summary: 'no progress and no notices; warnings and errors stay'},
  'json-error': {
    kind: 'boolean',
    char: 'E',
    summary: 'on failure print one JSON object as the last line of stderr',
  },
  json: {
    kind: 'boolean',
    char: 'j',
    summary: 'print JSON on stdout; --json=lines, short, pretty lay it out so',
  },
  strict: {kind: 'boolean', summary: 'fail with status 1 when there was a warning'},
  progress: {
    kind: 'string',
    value: 'MODE',
    options: ['auto', 'bar', 'plain', 'json', 'none'],
    env: 'IMGCTL_PROGRESS',
    summary: 'how progress is shown on stderr (default auto)',
  },
  color: {
    kind: 'string',
    value: 'WHEN',
    options: ['auto', 'always', 'never'],
    env: 'IMGCTL_COLOR',
    summary: 'colour on stdout and stderr (default auto: on terminals)',
  },
  'no-pager': {kind: 'boolean', summary: 'never show a long list or help in a pager'},
  offline: {
    kind: 'boolean',
    env: 'IMGCTL_OFFLINE',
    summary: 'ask no source: what they offer is what they offered when last asked',
  },
  root: {kind: 'string', value: 'DIR', env: 'IMGCTL_ROOT', summary: 'work below DIR instead of /'},
  config: {kind: 'string', value: 'FILE', env: 'IMGCTL_CONFIG', summary: 'read this configuration file'},
  engine: {
    kind: 'string',
    value: 'ENGINE',
    options: ['auto', 'embedded', 'dbus'],
    env: 'IMGCTL_ENGINE',
    summary: 'storage engine (default auto)',
  },
  retries: {kind: 'string', value: 'N', summary: 'how often a lost connection is tried again (default 4)'},
  timeout: {kind: 'string', value: 'DURATION', summary: 'give up after so long without a byte (default 30s)'},
} as const satisfies FlagTable;

export type GlobalFlags = ParsedInput<typeof globalFlags>['flags'];
