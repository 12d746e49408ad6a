/** A certificate authority of the test's own, and a server certificate by it. */

import {execFileSync} from 'node:child_process';
import {copyFileSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';

export interface TestCa {
  /** Of the authority, PEM. */
  caFile: string;
  /** A directory with it, as OpenSSL wants it. */
  caDirectory: string;
  key: Buffer;
  cert: Buffer;
}

/** Makes both below `directory`; the server's certificate is for `names`. */
export function makeTestCa(directory: string, names: readonly string[]): TestCa {
  const at = (name: string): string => path.join(directory, name);
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, {stdio: 'ignore', cwd: directory});
  };
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...newKey, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=imgctl test CA');
  openssl('req', ...newKey, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=server');
  writeFileSync(at('names'), `subjectAltName=${names.join(',')}\n`);
  openssl(
    ...['x509', '-req', '-in', 'server.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'],
    ...['-days', '2', '-extfile', 'names', '-out', 'server.pem'],
  );
  mkdirSync(at('certs'));
  copyFileSync(at('ca.pem'), at('certs/ca.pem'));
  openssl('rehash', 'certs');
  return {
    caFile: at('ca.pem'),
    caDirectory: at('certs'),
    key: readFileSync(at('server.key')),
    cert: readFileSync(at('server.pem')),
  };
}
