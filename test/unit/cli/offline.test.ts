import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {World} from '../../support/world.ts';

const dead = 'http://127.0.0.1:1';
let world: World;
beforeEach(async () => {
  world = await new World().start();
});
afterEach(() => world.end());

describe('with a source that has died', () => {
  let uuid: string;
  beforeEach(async () => {
    uuid = world.publish(Buffer.from('bytes'), {name: 'base', version: '1.0.0'}).uuid;
    world.publish(Buffer.from('more bytes'), {name: 'webapp', version: '2.0.0'});
    expect(world.run(['avail']).status).toBe(0);
    await world.stop();
  });

  test('avail fails, and what the source offered before is not shown', () => {
    const {status, stdout, stderr} = world.run(['--retries', '0', 'avail']);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toContain('error (ClientError): ');
  });

  test('--offline and IMGCTL_OFFLINE list what it offered when last asked, and say so', () => {
    world.env.IMGCTL_OFFLINE = '1';
    const byEnvironment = world.run(['avail', '-H', '-o', 'name']);
    delete world.env.IMGCTL_OFFLINE;
    const byOption = world.run(['avail', '-H', '-o', 'name', '--offline']);
    for (const {status, stdout, stderr} of [byEnvironment, byOption]) {
      expect([status, stdout]).toEqual([0, 'base\nwebapp\n']);
      expect(stderr).toMatch(
        /^imgctl avail: warning: offline: what "http:\S+" offers is as of \d{4}-\d\d-\d\dT[\d:.]+Z\n$/,
      );
    }
  });

  test('IMGCTL_OFFLINE=no is not offline', () => {
    world.env.IMGCTL_OFFLINE = 'no';
    expect(world.run(['--retries', '0', 'avail']).status).toBe(1);
  });

  test.each(['base', 'base@1.0.0'])('show %s is answered offline', (name) => {
    const {status, stdout} = world.run(['--offline', 'show', name]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({uuid, name: 'base'});
  });

  test('show of a full UUID, of a prefix and of what is not known', () => {
    expect(JSON.parse(world.run(['--offline', 'show', uuid]).stdout)).toMatchObject({uuid});
    expect(JSON.parse(world.run(['--offline', 'show', uuid.slice(0, 13)]).stdout)).toMatchObject({uuid});
    const {status, stderr} = world.run(['--offline', 'show', '99999999-9999-4999-8999-999999999999']);
    expect(status).toBe(1);
    expect(stderr).toContain('error (ImageNotFound)');
  });

  test('a source that was never asked is a failing one, the others answer', () => {
    world.useSources([world.url, dead]);
    const {status, stdout, stderr} = world.run(['--offline', 'avail', '-H', '-o', 'name']);
    expect([status, stdout]).toEqual([1, 'base\nwebapp\n']);
    expect(stderr).toContain(
      `error (ClientError): ${dead}: nothing is known of this source, and offline it is not asked`,
    );
  });

  test('a source that is configured no more is forgotten by the next avail', () => {
    world.useSources([dead]);
    world.run(['--retries', '0', 'avail']);
    world.useSources([world.url]);
    expect(world.run(['--offline', 'avail']).status).toBe(1);
  });
});

describe('a dead source among live ones', () => {
  beforeEach(() => {
    world.publish(Buffer.from('bytes'), {name: 'base', version: '1.0.0'});
    world.useSources([dead, world.url]);
  });

  test('is warned about once, the others answer, and the status is 1', () => {
    const {status, stdout, stderr} = world.run(['--retries', '0', 'avail', '-H', '-o', 'name']);
    expect([status, stdout]).toEqual([1, 'base\n']);
    expect(stderr.split('\n')).toEqual([
      `imgctl avail: warning: source "${dead}" did not answer: ${dead}: Error: connect ECONNREFUSED 127.0.0.1:1`,
      `imgctl avail: error (ClientError): ${dead}: Error: connect ECONNREFUSED 127.0.0.1:1`,
      '',
    ]);
  });

  test('is told in the error line alone under the name imgadm', () => {
    const {stderr} = world.run(['--retries', '0', 'avail'], 'imgadm');
    expect(stderr).toBe(
      `imgadm avail: error (ClientError): ${dead}: Error: connect ECONNREFUSED 127.0.0.1:1\n`,
    );
  });

  test('does not hinder a name that another source knows', () => {
    const {status, stdout, stderr} = world.run(['--retries', '0', 'show', 'base']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout).name).toBe('base');
    expect(stderr.match(/warning/g)).toHaveLength(1);
  });

  test('is the failure when nobody else knows the name', () => {
    const {status, stderr} = world.run(['--retries', '0', 'show', 'nosuch']);
    expect(status).toBe(1);
    expect(stderr).toContain('imgctl show: error (ClientError): ');
  });
});
