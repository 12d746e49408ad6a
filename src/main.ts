/**
 * Entry of the bundle: `main.js PROGRAM ARG…`, PROGRAM being the name it was started under; `start.cjs` comes before it.
 * The import generator, which
 * delays a boot, is told from the words alone and started without loading what reads commands; anything but its plain
 * form goes the long way.
 */

import path from 'node:path';

const [name, ...argv] = process.argv.slice(2);
const program = name === 'imgadm' || name === 'importctl' ? name : 'imgctl';
const [command, ...words] = argv;
const isPlainGenerator =
  program === 'imgctl' &&
  command === 'import-generator' &&
  words.length > 0 &&
  !words.some((word) => word.startsWith('-')) &&
  // The configuration of a user lies elsewhere.
  process.getuid?.() === 0;

async function runGenerator(): Promise<number> {
  const {runImportGenerator} = await import('./cli/import-generator.ts');
  const {env} = process;
  const configDirectory = path.resolve(env.IMGCTL_ROOT || '/', 'etc/imgctl');
  const launcher = path.join(import.meta.dirname, '../bin/imgctl');
  return runImportGenerator({directories: words, compat: undefined, env, configDirectory, launcher});
}

async function runCommand(): Promise<number> {
  const [{main}, {commands}] = await Promise.all([import('./cli/main.ts'), import('./commands/index.ts')]);
  return main(commands, program, argv);
}

const status = await (isPlainGenerator ? runGenerator() : runCommand());
// Output that could not be written has set one already.
process.exitCode ||= status;
