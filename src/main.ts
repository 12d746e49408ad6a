/** Entry of the bundle: `main.js PROGRAM ARG…`, PROGRAM being the name it was started under. */

import {main} from './cli/main.ts';
import {commands} from './commands/index.ts';

const [name, ...argv] = process.argv.slice(2);
const program = name === 'imgadm' || name === 'importctl' ? name : 'imgctl';
process.exitCode = await main(commands, program, argv);
