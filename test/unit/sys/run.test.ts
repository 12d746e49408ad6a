import {describe, expect, test, vi} from 'vitest';
import {runProcess, startProcess} from '../../../src/sys/run.ts';

describe('startProcess', () => {
  test('tells exit status and the end of standard error, with a bound', async () => {
    const end = await runProcess('sh', [
      '-c',
      'head -c 100000 /dev/zero | tr "\\000" n >&2; echo >&2; echo last >&2; exit 3',
    ]);
    expect(end).toMatchObject({exitCode: 3, signal: undefined});
    expect(end.stderrTail.endsWith('\nlast')).toBe(true);
    expect(end.stderrTail.length).toBeLessThanOrEqual(8192);
  });

  test('gives no environment and no descriptors but the named ones', async () => {
    const child = startProcess('sh', ['-c', 'env | cut -d= -f1 | sort; ls /proc/self/fd'], {
      stdout: 'pipe',
      env: {WANTED: '1'},
    });
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    await child.ended;
    // ls itself holds 3 while it reads the directory.
    expect(output.split('\n')).toEqual(['LC_ALL', 'PATH', 'PWD', 'WANTED', '0', '1', '2', '3', '']);
  });

  test('what a killed program leaves behind in its group does not hold its end up', async () => {
    const end = await runProcess('sh', ['-c', 'sleep 1000 & kill -9 $$']);
    expect(end).toMatchObject({exitCode: undefined, signal: 'SIGKILL'});
  });

  test('an abort ends the whole group, also one that ignores SIGTERM', async () => {
    const controller = new AbortController();
    const child = startProcess('sh', ['-c', 'trap "" TERM; echo ready; sleep 1000 & wait; sleep 1000'], {
      stdout: 'pipe',
      signal: controller.signal,
    });
    child.stdout?.once('data', () => controller.abort());
    expect(await child.ended).toMatchObject({signal: 'SIGKILL'});
    await vi.waitFor(() => expect(() => process.kill(-child.pid, 0)).toThrow('ESRCH'), 5000);
  });

  test('a program that is not there rejects', async () => {
    await expect(runProcess('/nonexistent', [])).rejects.toMatchObject({code: 'ENOENT'});
  });
});
