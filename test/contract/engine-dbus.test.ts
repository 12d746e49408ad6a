/**
 * The engine contract over real services. A bus with the real importd lives in namespaces of its own (test/oracle), so
 * this file runs itself in there once for every version, and is told by the environment that it is inside.
 */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, readdirSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {busAddress} from '../../src/dbus/bus-address.ts';
import {BusConnection} from '../../src/dbus/bus-connection.ts';
import {BusEngine} from '../../src/dbus/client/bus-engine.ts';
import {import1} from '../../src/dbus/import1.ts';
import {classDirectoryNames} from '../../src/import1/image-class.ts';
import {removeTree} from '../../src/sys/remove-tree.ts';
import {hasOracle, runVitestInOracle} from '../support/oracle.ts';
import {type EngineUnderTest, engineContract} from './engine.ts';
import {serviceLacks} from './engine-lacks.ts';

const version = process.env.IMGCTL_TEST_INSIDE_ORACLE;
/** A whole run of the tests in there. */
const insideMs = 300_000;

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
    lacks: serviceLacks[version ?? ''] ?? {},
    close: async () => {
      await engine.close();
      expect(readdirSync(scratchDirectory)).toEqual([]);
      await removeTree(scratchDirectory);
    },
  };
}

if (version)
  describe('inside', () => {
    let ours: ChildProcess | undefined;
    beforeAll(async () => {
      if (version !== 'ours') return;
      const program = path.join(import.meta.dirname, '../../bin/imgctl-importd');
      ours = spawn(program, {env: {...process.env, SYSTEMD_EXIT_ON_IDLE: '0'}, stdio: 'ignore'});
      const bus = await BusConnection.open(busAddress('system', process.env));
      await new Promise<void>((resolve, reject) => {
        ours?.once('close', () => reject(new Error('imgctl-importd ended')));
        void bus.subscribe(`type='signal',member='NameOwnerChanged',arg0='${import1.service}'`, (signal) => {
          if (signal.member === 'NameOwnerChanged' && signal.body[0] === import1.service) resolve();
        });
      });
      await bus.close();
    });
    afterAll(async () => {
      if (!ours) return;
      const ended = once(ours, 'close');
      ours.kill();
      await ended;
    });
    engineContract(open);
  });

if (!version)
  describe('the bus engine', () => {
    test.runIf(hasOracle('sid'))('over imgctl-importd keeps the contract', {timeout: insideMs}, async () => {
      await runVitestInOracle('sid', import.meta.filename, {ours: true});
    });
    for (const suite of ['trixie', 'sid']) {
      test.runIf(hasOracle(suite))(
        `over the importd of ${suite} keeps the contract`,
        {timeout: insideMs},
        async () => {
          await runVitestInOracle(suite, import.meta.filename);
        },
      );
    }
  });
