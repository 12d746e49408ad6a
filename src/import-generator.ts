/** Entry of the generator's own bundle: `import-generator.js LAUNCHER [--compat=257] NORMAL [EARLY LATE]`. */

import path from 'node:path';
import {runImportGenerator} from './cli/import-generator.ts';

const [launcher = '', ...words] = process.argv.slice(2);
const compat = words[0]?.startsWith('--compat=') ? words.shift()?.slice('--compat='.length) : undefined;
const {env} = process;
const configDirectory = path.join(env.IMGCTL_ROOT || '/', 'etc/imgctl');
process.exitCode = runImportGenerator({directories: words, compat, env, configDirectory, launcher});
