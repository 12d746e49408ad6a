/** Entry of the bus service's bundle. */

import {processEnvironment} from './cli/environment.ts';
import {runImportd} from './cli/importd/main.ts';

const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
process.on('SIGINT', () => stop.abort());
process.on('SIGHUP', () => undefined); // nothing to read anew
process.exitCode = await runImportd({environment: processEnvironment(), signal: stop.signal});
