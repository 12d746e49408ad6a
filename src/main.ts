/**
 * Entry of the bundle: `main.js PROGRAM ARG…`, PROGRAM being the name it was started under. The import generator, which
 * delays a boot, is told from the words alone and started without loading what reads commands; anything but its plain
 * form goes the long way.
 */

import path from 'node:path';

const [name, ...argv] = process.argv.slice(2);
const program = name === 'imgadm' || name === 'importctl' ? name : 'imgctl';
const status = await main(commands, program, argv);
// Output that could not be written has set one already.
process.exitCode ||= status;
