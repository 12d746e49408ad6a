/** What the process gives us, read in this one place (style.md §2.6). */

export interface Environment {
  env: Readonly<Record<string, string | undefined>>;
  uid: number;
  homeDirectory: string;
  /** Fails with the error of the system when the directory was removed. */
  readonly cwd: string;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

export function processEnvironment(): Environment {
  return {
    env: process.env,
    uid: process.getuid?.() ?? 0,
    homeDirectory: process.env.HOME || process.getBuiltinModule('node:os').homedir(),
    get cwd() {
      return process.cwd();
    },
    // Each is set up when first looked at.
    get stdin() {
      return process.stdin;
    },
    get stdout() {
      return process.stdout;
    },
    get stderr() {
      return process.stderr;
    },
  };
}

/** A variable that is a switch: anything but an empty text or a word for no. */
export function isYes(text: string | undefined): boolean {
  return text !== undefined && !['', '0', 'no', 'false', 'off'].includes(text.toLowerCase());
}
