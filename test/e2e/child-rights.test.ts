/** That the child which unpacks is in its sandbox also when the program itself starts it: from a command, and from the bus service. */
import {execFileSync} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {EmbeddedEngine} from '../../src/engine/embedded/embedded-engine.ts';
import {hasBusDaemon} from '../support/bus.ts';
import {Importd} from '../support/importd.ts';
import {World} from '../support/world.ts';

const isRoot = process.geteuid?.() === 0;

describe.runIf(isRoot)('the child that unpacks', () => {
  let directory: string;
  let archive: string;
  let level: string;
  beforeAll(async () => {
    directory = mkdtempSync(path.join(tmpdir(), 'imgctl-rights-'));
    writeFileSync(path.join(directory, 'file'), randomBytes(24 << 20));
    archive = path.join(directory, 'archive.tar.gz');
    execFileSync('tar', ['-C', directory, '-czf', archive, 'file']);
    ({level} = await new EmbeddedEngine({runtimeDirectory: path.join(directory, 'run')}).sandboxReport());
  });
  afterAll(() => rmSync(directory, {recursive: true, force: true}));

  /** What the kernel says of the first unpacking child below a process; undefined when there was none. */
  async function rightsBelow(
    pid: number,
    hasEnded: () => boolean,
  ): Promise<Record<string, string> | undefined> {
    while (!hasEnded()) {
      for (const child of descendantsOf(pid)) {
        const rights = rightsOf(child);
        if (rights) return rights;
      }
      await sleep(2);
    }
    return undefined;
  }

  function rightsOf(pid: string): Record<string, string> | undefined {
    try {
      if (!readlinkSync(`/proc/${pid}/exe`).endsWith('/node')) return undefined;
      if (!readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('unpack-child')) return undefined;
      const status = readFileSync(`/proc/${pid}/status`, 'latin1');
      const fields = ['CapEff', 'CapPrm', 'NoNewPrivs', 'Seccomp'].map((name): [string, string] => [
        ...([name, new RegExp(`^${name}:\\s*(\\w+)`, 'm').exec(status)?.[1] ?? ''] as const),
      ]);
      const spaces = ['net', 'pid', 'mnt', 'ipc'].map((name): [string, string] => {
        const isOwn = readlinkSync(`/proc/${pid}/ns/${name}`) !== readlinkSync(`/proc/self/ns/${name}`);
        return [name, isOwn ? 'own' : 'shared'];
      });
      return Object.fromEntries([...fields, ...spaces]);
    } catch {
      return undefined; // it was gone by then
    }
  }

  function expectFew(rights: Record<string, string> | undefined): void {
    const common = {CapEff: '000000008800001b', CapPrm: '000000008800001b', NoNewPrivs: '1'};
    const apart = {net: 'own', pid: 'own', mnt: 'own', ipc: 'own'};
    if (level === 'bwrap') expect(rights).toEqual({...common, ...apart, Seccomp: '2'});
    else if (level === 'unshare') expect(rights).toMatchObject({...common, ...apart});
    else expect(rights).toMatchObject(common);
  }

  test('of a command has six rights of root and sees nobody', async () => {
    const world = new World();
    let rights: Record<string, string> | undefined;
    const outcome = await world.runWhile(
      ['import-tar', '-q', '--class=machine', archive, 'one'],
      async (child) => {
        rights = await rightsBelow(child.pid ?? 0, () => child.exitCode !== null);
      },
    );
    await world.end();
    expect(outcome.status).toBe(0);
    expectFew(rights);
  });

  test.runIf(hasBusDaemon)('of the service has the same', async () => {
    const service = await Importd.start();
    const fd = openSync(archive, 'r');
    try {
      const [id] = await service.call('ImportTar', 'hsbb', [0, 'two', false, false], [fd]);
      let hasEnded = false;
      const removed = service.removed(id).finally(() => {
        hasEnded = true;
      });
      const rights = await rightsBelow(service.process.pid ?? 0, () => hasEnded);
      expect(await removed).toBe('done');
      expectFew(rights);
    } finally {
      closeSync(fd);
      await service.stop();
    }
  });
});

function descendantsOf(pid: number | string): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1')
        .split(' ')
        .filter((text) => text !== '')
        .flatMap((child) => [child, ...descendantsOf(child)]),
    );
  } catch {
    return [];
  }
}
