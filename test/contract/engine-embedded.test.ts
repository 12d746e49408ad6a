import {existsSync, mkdtempSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {describe} from 'vitest';
import {EmbeddedEngine} from '../../src/engine/embedded/embedded-engine.ts';
import {removeTree} from '../../src/sys/remove-tree.ts';
import {type EngineUnderTest, engineContract} from './engine.ts';

const isRoot = process.geteuid?.() === 0;

async function open(sandbox: 'auto' | 'off', parent = tmpdir()): Promise<EngineUnderTest> {
  const directory = mkdtempSync(path.join(parent, 'imgctl-engine-'));
  return {
    engine: new EmbeddedEngine({runtimeDirectory: path.join(directory, 'run'), sandbox}),
    store: {imageClass: 'machine', directory: path.join(directory, 'machines')},
    close: () => removeTree(directory),
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
