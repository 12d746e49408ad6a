/** Who imports an image that another process imports sees that one's progress, and its outcome (ux.md §6). */
import {afterAll, beforeAll, expect, test} from 'vitest';
import {heldProxy} from '../screens/held-proxy.ts';
import {World} from '../support/world.ts';

const world = new World();
beforeAll(async () => void (await world.start()));
afterAll(() => world.end());

test('a second import shows how far the first one is, and downloads nothing itself', async () => {
  const size = 4 << 20;
  const {uuid} = world.publish(Buffer.alloc(size, 5), {name: 'shared'});
  const proxy = await heldProxy(world.url, 0.5);
  world.useSources([proxy.url]);
  const first = world.runWhile(['import', '-q', uuid], async () => {
    await expect.poll(() => world.partialBytes(), {timeout: 30_000}).toBe(size / 2);
  });
  await expect.poll(() => world.partialBytes(), {timeout: 30_000}).toBe(size / 2);
  let lines = '';
  const second = await world.runWhile(['--progress=json', 'import', uuid], async (child) => {
    child.stderr?.on('data', (chunk) => {
      lines += chunk;
    });
    await expect.poll(() => lines, {timeout: 30_000}).toContain('"phase":"wait"');
    proxy.letGo();
  });
  expect((await first).status).toBe(0);
  expect(second.status).toBe(0);
  expect(second.stdout).toContain(`Waiting for image ${uuid} import lock\n`);
  expect(second.stdout).toContain('was imported while waiting on lock');
  const events = second.stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter((event) => event.phase === 'wait');
  expect(events[0]).toMatchObject({event: 'start', uuid, done: size / 2, total: size});
  expect(events.at(-1)).toMatchObject({event: 'end', uuid, ok: true});
  expect(events.filter((event) => event.phase === 'download')).toEqual([]);
});
