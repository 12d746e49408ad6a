/** Readers of what comes over buses and sockets. */
import {createRequire} from 'node:module';
import {duplexPair} from 'node:stream';
import {MessageGate} from '../../src/dbus/message-gate.ts';
import {readPlainValues} from '../../src/dbus/plain-values.ts';
import {VarlinkConnection} from '../../src/dbus/varlink/connection.ts';
import {LineAnswerer} from '../../src/instances/metadata/connection.ts';
import {MetadataStore} from '../../src/instances/metadata/store.ts';
import type {FuzzTarget} from './fuzz-target.ts';

export function busMessages(): FuzzTarget {
  const {marshall} = createRequire(import.meta.url)('dbus-native/lib/message.js');
  const header = {type: 1, serial: 1, path: '/a', interface: 'b.c', member: 'D', destination: 'e.f'};
  const samples: Buffer[] = [
    marshall({...header, signature: 'sub', body: ['text', 7, true]}),
    marshall({...header, type: 4, signature: 'osg', body: ['/x', 'y', 's']}),
  ];
  return {
    samples: [...samples, Buffer.concat(samples)],
    read: (bytes) => {
      const gate = new MessageGate(4096);
      const half = bytes.length >> 1;
      for (const chunk of [bytes.subarray(0, half), bytes.subarray(half)]) gate.take(chunk);
      for (const signature of ['sub', 'osg', 'v', 'ayt', 'sssbb']) {
        try {
          readPlainValues(gate.takeBody(), signature, 'plain');
        } catch (error) {
          if (Object(error).name !== 'BusError') throw error;
        }
      }
    },
  };
}

export function varlink(): FuzzTarget {
  const call = {method: 'io.systemd.Import.ListTransfers', parameters: {class: 'machine'}, more: true};
  const peer = {uid: 0, gid: 0, pid: 1} as never;
  return {
    samples: [
      Buffer.from(`${JSON.stringify(call)}\0`),
      Buffer.from(`${JSON.stringify({method: 'a.B'})}\0`.repeat(2)),
    ],
    read: async (bytes) => {
      const [near, far] = duplexPair();
      const connection = new VarlinkConnection(near as never, peer, async ({parameters}) => parameters);
      const run = connection.run();
      far.resume();
      far.end(bytes);
      far.once('end', () => near.destroy());
      setImmediate(() => setImmediate(() => near.destroy()));
      await run;
    },
  };
}

export function metadata(): FuzzTarget {
  const lines = [
    'GET a',
    'KEYS',
    'NEGOTIATE V2',
    'V2 15 dc6ae3f9 0a1b2c3d GET YQ==',
    'V2 13 9a6f9a99 0a1b2c3d KEYS',
  ];
  const store = new MetadataStore({});
  return {
    samples: [...lines, lines.join('\n')].map((line) => Buffer.from(`${line}\n`)),
    read: (bytes) => {
      const answers = new LineAnswerer(store).take(bytes.toString());
      if (answers !== '' && !answers.endsWith('\n')) throw new Error('an answer without its end');
    },
  };
}
