import {verifiedSourceContract} from './verified-source.ts';

verifiedSourceContract({
  type: 'imgapi',
  path: '/',
  pong: '{"ping":"pong","imgapi":true}',
  pingPath: '/ping',
  listPath: '/images',
  filePath: (uuid) => `/images/${uuid}/file`,
  manifest: (uuid, file) => ({
    v: 2,
    uuid,
    name: 'base',
    version: '1',
    type: 'other',
    os: 'linux',
    state: 'active',
    files: [{...file, compression: 'none'}],
  }),
});

verifiedSourceContract({
  type: 'dsapi',
  path: '/datasets',
  pong: '{"ping":"pong"}',
  pingPath: '/ping',
  listPath: '/datasets',
  filePath: (uuid) => `/files/${uuid}.tar`,
  manifest: (uuid, file, url) => ({
    uuid,
    name: 'base',
    version: '1',
    type: 'zone-dataset',
    os: 'smartos',
    creator_uuid: '352971aa-31ba-496c-9ade-a379feaecd52',
    published_at: '2012-01-01T10:00Z',
    files: [{...file, path: 'base.tar', url: `${url}/files/${uuid}.tar`}],
  }),
});
