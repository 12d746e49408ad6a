import {existsSync, mkdtempSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {describe} from 'vitest';
import {DownloadCache} from '../../src/downloads/download-cache.ts';
import {EmbeddedEngine} from '../../src/engine/embedded/embedded-engine.ts';
import {HttpClient} from '../../src/http/http-client.ts';
import {removeTree} from '../../src/sys/remove-tree.ts';
import {type EngineUnderTest, engineContract} from './engine.ts';

const isRoot = process.geteuid?.() === 0;

async function open(sandbox: 'auto' | 'off', parent = tmpdir()): Promise<EngineUnderTest> {
  const directory = mkdtempSync(path.join(parent, 'imgctl-engine-'));
  const http = new HttpClient({userAgent: 'test', retries: {count: 0}});
  const downloads = new DownloadCache({
    directory: path.join(directory, 'cache'),
    maxBytes: 1 << 30,
    retries: 1,
    retryDelayMs: 1,
  });
  return {
    engine: new EmbeddedEngine({
      runtimeDirectory: path.join(directory, 'run'),
      sandbox,
      pull: {http: async () => http, downloads: async () => downloads, keyringFiles: []},
    }),
    store: {imageClass: 'machine', directory: path.join(directory, 'machines')},
    close: async () => {
      http.close();
      await removeTree(directory);
    },
  };
}

// Read-only directories need the immutable attribute, which only root may set.
describe.runIf(isRoot)('the embedded engine', () => {
  describe('with the best sandbox here', () => engineContract(() => open('auto')));
  describe('without a sandbox', () => engineContract(() => open('off')));
  describe.runIf(existsSync('/run'))('with a store below /run', () =>
    engineContract(() => open('auto', '/run')),
  );
});
