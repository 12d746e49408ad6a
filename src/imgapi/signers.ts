/** Where signatures come from: a key in a file, or one that an ssh-agent keeps (draft-miller-ssh-agent). */

import {type KeyObject, sign} from 'node:crypto';
import {connect} from 'node:net';
import {ImgctlError} from '../errors.ts';
import type {Signer} from './authentication.ts';
import {fingerprint, keyType, refusedKey, SshReader, sshString} from './openssh-key.ts';

export function keySigner(key: KeyObject): Signer {
  return {
    sign: async (text) => ({algorithm: 'rsa-sha256', signature: sign('sha256', Buffer.from(text), key)}),
  };
}

const message = {requestIdentities: 11, identities: 12, signRequest: 13, signature: 14} as const;
/** SSH_AGENT_RSA_SHA2_256. */
const sha256Flag = 2;
/** An agent may ask its user first. */
const timeoutMs = 60_000;
/** OpenSSH's own limit. */
const maxMessageBytes = 256 * 1024;

/** Signs with the agent's first RSA key, or with the one of that fingerprint (`SHA256:…`). */
export function agentSigner(socketPath: string, wanted: string | undefined): Signer {
  return {
    async sign(text) {
      const blob = await findKey(socketPath, wanted);
      const flags = Buffer.from([0, 0, 0, sha256Flag]);
      const request = Buffer.concat([
        Buffer.of(message.signRequest),
        sshString(blob),
        sshString(text),
        flags,
      ]);
      const answer = await ask(socketPath, request);
      if (answer[0] !== message.signature) throw agentError(socketPath, 'it refused to sign');
      const parts = new SshReader(new SshReader(answer.subarray(1)).string());
      const format = parts.string().toString('latin1');
      const signature = parts.string();
      // An agent that does not know the flag signs with SHA-1, which servers still accept.
      if (format === 'rsa-sha2-256') return {algorithm: 'rsa-sha256', signature};
      if (format === 'ssh-rsa') return {algorithm: 'rsa-sha1', signature};
      throw agentError(socketPath, `its signature is of type ${format.slice(0, 64)}`);
    },
  };
}

async function findKey(socketPath: string, wanted: string | undefined): Promise<Buffer> {
  const answer = await ask(socketPath, Buffer.of(message.requestIdentities));
  if (answer[0] !== message.identities) throw agentError(socketPath, 'it does not list its keys');
  const reader = new SshReader(answer.subarray(1));
  const keys: Buffer[] = [];
  try {
    for (let left = reader.uint32(); left > 0; left -= 1) {
      keys.push(reader.string());
      reader.string();
    }
  } catch {
    throw agentError(socketPath, 'its answer is damaged');
  }
  if (wanted === undefined) {
    const found = keys.find((blob) => keyType(blob) === 'ssh-rsa');
    if (found) return found;
    throw agentError(socketPath, 'it has no RSA key, and image servers accept no others');
  }
  const found = keys.find((blob) => fingerprint(blob) === wanted);
  if (!found) throw agentError(socketPath, `it has no key ${wanted}`);
  if (keyType(found) !== 'ssh-rsa') throw refusedKey(`key ${wanted}`, keyType(found));
  return found;
}

/** One message and its answer, on a connection of its own. */
function ask(socketPath: string, request: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    let received = Buffer.alloc(0);
    const fail = (reason: string): void => {
      socket.destroy();
      reject(agentError(socketPath, reason));
    };
    socket.setTimeout(timeoutMs, () => fail('it does not answer'));
    socket.once('error', (error) => fail(error.message));
    socket.once('end', () => fail('it hung up'));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const length = received.length < 4 ? 0 : received.readUInt32BE();
      if (length > maxMessageBytes) fail('its answer is too long');
      else if (length > 0 && received.length >= 4 + length) {
        resolve(received.subarray(4, 4 + length));
        socket.destroy();
      }
    });
    socket.write(sshString(request));
  });
}

function agentError(socketPath: string, reason: string): ImgctlError {
  return new ImgctlError('NotAuthorized', `cannot sign with the ssh-agent at "${socketPath}": ${reason}`, {
    hint: 'its keys: ssh-add -l',
  });
}
