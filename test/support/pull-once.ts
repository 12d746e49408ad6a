/** One pull by the embedded engine into /var/lib/machines: `node pull-once.ts STATE-DIRECTORY FORMAT URL NAME VERIFY`. */
import path from 'node:path';
import {DownloadCache} from '../../src/downloads/download-cache.ts';
import {EmbeddedEngine} from '../../src/engine/embedded/embedded-engine.ts';
import {HttpClient} from '../../src/http/http-client.ts';

const [state = '', format, url = '', localName = '', verify] = process.argv.slice(2);
const http = new HttpClient({userAgent: 'test'});
const engine = new EmbeddedEngine({
  runtimeDirectory: path.join(state, 'run'),
  pull: {
    http: async () => http,
    downloads: async () =>
      new DownloadCache({
        directory: path.join(state, 'cache'),
        maxBytes: 1 << 30,
        retries: 0,
        retryDelayMs: 1,
      }),
    keyringFiles: [],
  },
});
const transfer = await engine.pull({
  format: format === 'tar' ? 'tar' : 'raw',
  store: {imageClass: 'machine', directory: '/var/lib/machines'},
  url,
  localName,
  verify: verify === 'checksum' ? 'checksum' : 'no',
  keepDownload: true,
});
transfer.onLog((_level, line) => console.log(line));
await transfer.finished;
http.close();
