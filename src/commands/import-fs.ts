import {defineTransfer} from '../cli/importctl/verbs.ts';

export default defineTransfer('import-fs', {
  summary: 'copy a directory tree into an image',
  description:
    'Owners, modes, times, links and attributes are kept; blocks are shared where the file system can.',
  subject: {name: 'DIRECTORY', summary: 'the tree'},
  examples: ['import-fs -m /srv/tree', 'import-fs -m --force /srv/tree web'],
});
