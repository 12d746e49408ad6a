/** Encrypted credentials, made by the real systemd-creds: our generator takes and refuses what systemd's takes and refuses. */

import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {runBoth} from './in-tree.ts';
import {hasTree} from './real-generator.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-credentials.'));
});
afterEach(() => {
  rmSync(directory, {recursive: true, force: true});
});

const encrypt = 'systemd-creds --quiet --name=import.pull --with-key=host';
/** Each makes enc/import.pull out of plain. */
const cases: Readonly<Record<string, string>> = {
  'with the key of the host': `${encrypt} encrypt plain enc/import.pull`,
  'without a key': 'systemd-creds --quiet --name=import.pull --with-key=null encrypt plain enc/import.pull',
  'under another name': 'systemd-creds --quiet --name=other --with-key=host encrypt plain enc/import.pull',
  'that is out of date': `${encrypt} --timestamp=2020-01-01 --not-after=2020-01-02 encrypt plain enc/import.pull`,
  'that was tampered with': `${encrypt} encrypt plain - | tr A-M a-m >enc/import.pull`,
  'that is empty': ': >enc/import.pull',
  'that is a loop of links': 'ln -s import.pull enc/import.pull',
  'that is not there': ':',
  'beside one in the clear': `${encrypt} encrypt plain enc/import.pull; echo raw,machine:clear:http://h/x >creds/import.pull`,
};
const accepted = ['with the key of the host', 'without a key'];

const unit = 'systemd-import@var-lib-machines-secret.raw.service';

test.runIf(hasTree('sid')).each(Object.entries(cases))('a credential %s', (what, make) => {
  const {real, ours} = runBoth(directory, {
    credentials: `echo raw,machine:secret:http://h/x >plain; ${make}`,
  });
  expect(ours).toEqual(real);
  expect(ours.entries.includes(unit)).toBe(accepted.includes(what));
});
