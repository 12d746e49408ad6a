import {execFileSync} from 'node:child_process';
import {closeSync, mkdirSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {setImmutable} from '../../../src/sys/attributes.ts';
import {copyTree} from '../../../src/sys/copy-tree.ts';
import {removeTree} from '../../../src/sys/remove-tree.ts';
import {makeNastyTree} from '../../support/nasty-tree.ts';
import {expectSameTree, listTree} from '../../support/tree-listing.ts';

const isRoot = process.geteuid?.() === 0;
let directory: string;
let source: string;
let target: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-copy-'));
  source = path.join(directory, 'source');
  target = path.join(directory, 'target');
  mkdirSync(source);
});
afterEach(() => rmSync(directory, {recursive: true, force: true}));

describe.runIf(isRoot)('copyTree as root', () => {
  test('the copy is the same in everything, and its holes stay holes', async () => {
    makeNastyTree(source);
    expect(await copyTree(source, target)).toEqual({notices: []});
    expectSameTree(target, source);
    expect(statSync(path.join(target, 'sparse')).blocks).toBeLessThan(1000);
  });

  test('an aborted copy ends with the reason of the signal', async () => {
    makeNastyTree(source);
    const controller = new AbortController();
    const onEntry = () => controller.abort(new RangeError('enough'));
    await expect(copyTree(source, target, {signal: controller.signal, onEntry})).rejects.toThrow('enough');
  });

  test('what is mounted below is left empty and said', async () => {
    mkdirSync(path.join(source, 'mounted'));
    execFileSync('mount', ['-t', 'tmpfs', 'none', path.join(source, 'mounted')]);
    try {
      writeFileSync(path.join(source, 'mounted/file'), '');
      const {notices} = await copyTree(source, target);
      expect(notices).toEqual([expect.stringContaining('mounted')]);
      expect(Object.keys(listTree(target))).toEqual(['.', 'mounted']);
    } finally {
      execFileSync('umount', [path.join(source, 'mounted')]);
    }
  });
});

describe.runIf(isRoot)('removeTree', () => {
  test('removes immutable files and directories, and nothing is no error', async () => {
    makeNastyTree(source);
    for (const name of ['etc', 'first', '.']) {
      const fd = openSync(path.join(source, name), 'r');
      setImmutable(fd, true);
      closeSync(fd);
    }
    await removeTree(source);
    await removeTree(source);
    expect(() => statSync(source)).toThrow('ENOENT');
  });

  test('does not go into what is mounted', async () => {
    const mounted = path.join(source, 'mounted');
    mkdirSync(mounted);
    execFileSync('mount', ['-t', 'tmpfs', 'none', mounted]);
    try {
      writeFileSync(path.join(mounted, 'kept'), '');
      await expect(removeTree(source)).rejects.toMatchObject({code: 'EXDEV'});
      expect(statSync(path.join(mounted, 'kept')).isFile()).toBe(true);
    } finally {
      execFileSync('umount', [mounted]);
    }
  });
});
