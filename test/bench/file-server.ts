import {spawn} from 'node:child_process';
import {connect} from 'node:net';
import path from 'node:path';

/** Serves a directory as importd's own tests do; resolves with what stops it. */
export async function startFileServer(root: string, port: number): Promise<() => void> {
  const child = spawn('python3', [path.join(import.meta.dirname, '../oracle/httpd.py'), root, String(port)], {
    stdio: 'ignore',
  });
  const isUp = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(socket.end() !== undefined));
      socket.once('error', () => resolve(false));
    });
  while (!(await isUp())) if (child.exitCode !== null) throw new Error('the file server did not start');
  return () => child.kill();
}
