import {defineTransfer} from '../cli/importctl/verbs.ts';

export default defineTransfer('pull-tar', {
  summary: 'download an archive and make a tree of it',
  description:
    'Downloads over http, https or file, verifies as --verify says, and unpacks into the directory of the class. An interrupted download goes on where it stopped.',
  subject: {name: 'URL', summary: 'where the archive is'},
  examples: [
    'pull-tar -m https://example.com/root.tar.xz',
    'pull-tar -m --verify=checksum https://example.com/root.tar.xz web',
  ],
});
