/** The signatures that the reference server accepted (test/fixtures, signing-vectors.json), made and accepted by ours. */
import {createPrivateKey, sign} from 'node:crypto';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {request} from 'node:http';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {signatureAuthentication} from '../../../src/imgapi/authentication.ts';
import {formatSignature, signingString} from '../../../src/imgapi/http-signature.ts';
import {rsaPrivateKey} from '../../../src/imgapi/openssh-key.ts';
import {keySigner} from '../../../src/imgapi/signers.ts';
import {createImageServer, type ImageServer} from '../../../src/server/image-server.ts';
import {fixturePath} from '../../fixtures-dir.ts';

interface Vector {
  algorithm: string;
  headers: string[] | null;
  method: string;
  target: string;
  date: string;
  signing_string: string;
  authorization: string;
}

const {user, public_key_openssh, private_key_pem, vectors} = JSON.parse(
  readFileSync(fixturePath('fixtures', 'imgapi-recorded', 'signing-vectors.json'), 'utf8'),
) as {user: string; public_key_openssh: string; private_key_pem: string; vectors: Vector[]};

let directory: string;
let server: ImageServer;
let url: URL;
let now = new Date();

beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-signature-'));
  const usersFile = path.join(directory, 'users.json');
  writeFileSync(usersFile, JSON.stringify({[user]: {keys: [public_key_openssh]}}));
  server = await createImageServer({directory, usersFile, now: () => now});
  url = new URL((await server.listen({host: '127.0.0.1', port: 0})).url);
});
afterAll(async () => {
  await server.close();
  rmSync(directory, {recursive: true});
});

function get(target: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({host: url.hostname, port: url.port, path: target, headers}, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    sent.once('error', reject).end();
  });
}

test.each(vectors)('$algorithm over $headers is made as the reference client makes it', (vector) => {
  const {algorithm, headers, method, target, date} = vector;
  const signed = signingString(headers ?? ['date'], {method, target, httpVersion: '1.1', header: () => date});
  expect(signed).toEqual({text: vector.signing_string});
  const digest = algorithm.replace('rsa-', '');
  const signature = sign(digest, Buffer.from(vector.signing_string), createPrivateKey(private_key_pem));
  const parameters = {
    keyId: user,
    algorithm,
    signature: signature.toString('base64'),
    ...(headers && {headers}),
  };
  expect(formatSignature(parameters)).toBe(vector.authorization);
});

test.each(vectors)('$algorithm over $headers is accepted, for five minutes', async (vector) => {
  const {target, date, authorization} = vector;
  for (const [seconds, status] of [
    [-301, 401],
    [-299, 200],
    [0, 200],
    [299, 200],
    [301, 401],
  ] as const) {
    now = new Date(Date.parse(date) + seconds * 1000);
    expect(await get(target, {date, authorization})).toBe(status);
  }
  now = new Date(date);
  const broken = authorization.replace(
    /signature="(.)/,
    (_, first) => `signature="${first === 'A' ? 'B' : 'A'}`,
  );
  expect(await get(target, {date, authorization: broken})).toBe(401);
});

test('what the client sends is the first vector, at its time', async () => {
  const [vector] = vectors as [Vector];
  const signer = keySigner(rsaPrivateKey(private_key_pem, 'key'));
  const authentication = signatureAuthentication(user, signer, () => new Date(vector.date));
  expect(await authentication.headers()).toEqual({date: vector.date, authorization: vector.authorization});
});
