/**
 * The engine contract over real services. A bus with the real importd lives in namespaces of its own (test/oracle), so
 * this file runs itself in there once for every version, and is told by the environment that it is inside.
 */
import {mkdtempSync, readdirSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {describe, expect, test} from 'vitest';
import {busAddress} from '../../src/dbus/bus-address.ts';
import {BusConnection} from '../../src/dbus/bus-connection.ts';
import {BusEngine} from '../../src/dbus/client/bus-engine.ts';
import {classDirectoryNames} from '../../src/import1/image-class.ts';
import {removeTree} from '../../src/sys/remove-tree.ts';
import {hasOracle, runVitestInOracle} from '../support/oracle.ts';
import {type EngineUnderTest, engineContract} from './engine.ts';
import {importdLacks} from './engine-lacks.ts';

const version = process.env.IMGCTL_TEST_INSIDE_ORACLE;

async function open(): Promise<EngineUnderTest> {
  const scratchDirectory = mkdtempSync(path.join(tmpdir(), 'imgctl-engine-'));
  const directory = '/var/lib/machines';
  const engine = new BusEngine({
    connect: () => BusConnection.open(busAddress('system', process.env)),
    classDirectory: (imageClass) => path.join('/var/lib', classDirectoryNames[imageClass]),
    scratchDirectory,
    interactive: false,
  });
  return {
    engine,
    store: {imageClass: 'machine', directory},
    lacks: importdLacks[version ?? ''] ?? {},
    close: async () => {
      await engine.close();
      expect(readdirSync(scratchDirectory)).toEqual([]);
      await removeTree(scratchDirectory);
    },
  };
}

describe.runIf(version)('inside', () => engineContract(open));

describe.skipIf(version)('the bus engine over the real importd', () => {
  for (const suite of ['trixie', 'sid']) {
    test.runIf(hasOracle(suite))(`of ${suite} keeps the contract`, async () => {
      await runVitestInOracle(suite, import.meta.filename);
    });
  }
});
