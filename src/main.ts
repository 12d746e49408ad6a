/**
 * Entry of the bundle of all commands; `start.cjs` calls it. The import generator, which delays a boot, is told from the
 * words alone and started without loading what reads commands; anything but its plain form goes the long way.
 */

import path from 'node:path';

type Program = 'imgctl' | 'imgadm' | 'importctl';

/** Runs one command line of the program of that name; resolves with its exit status. */
export function runMain(program: Program, argv: string[]): Promise<number> {
  return isPlainGenerator(program, argv) ? runGenerator(argv.slice(1)) : runCommand(program, argv);
}

function isPlainGenerator(program: Program, [command, ...words]: string[]): boolean {
  return (
    program === 'imgctl' &&
    command === 'import-generator' &&
    words.length > 0 &&
    !words.some((word) => word.startsWith('-')) &&
    // The configuration of a user lies elsewhere.
    process.getuid?.() === 0
  );
}

async function runGenerator(words: string[]): Promise<number> {
  const {runImportGenerator} = await import('./cli/import-generator.ts');
  const {env} = process;
  const configDirectory = path.resolve(env.IMGCTL_ROOT || '/', 'etc/imgctl');
  const launcher = path.join(import.meta.dirname, '../bin/imgctl');
  return runImportGenerator({directories: words, compat: undefined, env, configDirectory, launcher});
}

async function runCommand(program: Program, argv: string[]): Promise<number> {
  const [{main}, {commands}] = await Promise.all([import('./cli/main.ts'), import('./commands/index.ts')]);
  return main(commands, program, argv);
}
