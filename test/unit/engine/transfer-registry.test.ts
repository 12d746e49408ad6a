import {closeSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {TransferRegistry} from '../../../src/engine/embedded/transfer-registry.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-registry-'));
  vi.useFakeTimers({toFake: ['setInterval', 'clearInterval']});
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(directory, {recursive: true});
});

function descriptorOf(file: string): number {
  const found = readdirSync('/proc/self/fd').find((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === file;
    } catch {
      return false; // that of the directory itself
    }
  });
  return Number(found);
}

test('a disk that is full when progress is noted does not end the process', async () => {
  const registry = new TransferRegistry(directory);
  const description = {type: 'pull-raw', verify: 'no', imageClass: 'machine', remote: 'x', localName: 'x'};
  const onCancel = vi.fn();
  const record = await registry.open(description as never, onCancel);
  const fd = descriptorOf(path.join(registry.directory, `${record.id}.json`));
  expect(fd).toBeGreaterThan(2);
  // The lowest free number is the one that was closed, or some below it are given first.
  const others: number[] = [];
  closeSync(fd);
  for (let full = openSync('/dev/full', 'w'); full !== fd; full = openSync('/dev/full', 'w'))
    others.push(full);
  record.update(0.5);
  expect(() => vi.advanceTimersByTime(1000)).not.toThrow();
  // It goes on listening to who wants it stopped.
  closeSync(openSync(path.join(registry.directory, `${record.id}.cancel`), 'w'));
  vi.advanceTimersByTime(1000);
  expect(onCancel).toHaveBeenCalled();
  record.close();
  others.forEach((other) => void closeSync(other));
});
