/** Entry of the bus service's bundle. */

import {processEnvironment} from './cli/environment.ts';
import {parseServiceArguments, programName} from './cli/importd/arguments.ts';
import {ImgctlError} from './errors.ts';

const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
process.on('SIGINT', () => stop.abort());
process.on('SIGHUP', () => undefined); // nothing to read anew
process.exitCode = await run();

async function run(): Promise<number> {
  const environment = processEnvironment();
  try {
    const order = parseServiceArguments(process.argv.slice(2));
    if ('scope' in order) {
      const {runImportd} = await import('./cli/importd/main.ts');
      return runImportd({environment, scope: order.scope, signal: stop.signal});
    }
    environment.stdout.write(order.print);
    return 0;
  } catch (error) {
    if (!(error instanceof ImgctlError)) throw error;
    environment.stderr.write(`${programName}: ${error.message}\n`);
    return 1;
  }
}
