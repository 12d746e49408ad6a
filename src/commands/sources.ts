import {addSource, deleteSource, type SourcesContext} from '../actions/sources.ts';
import {defineCommand} from '../cli/command.ts';
import {ImgctlError} from '../errors.ts';

export default defineCommand({
  id: 'sources',
  family: 'imgadm',
  summary: 'list, add and remove image sources',
  description:
    'Without options prints the URLs of the configured sources in the order in which they are asked.',
  flags: {
    json: {kind: 'boolean', char: 'j', summary: 'print JSON'},
    add: {kind: 'string', char: 'a', value: 'URL', summary: 'add a source, after it has answered a ping'},
    delete: {kind: 'string', char: 'd', value: 'URL', summary: 'remove a source'},
    force: {kind: 'boolean', char: 'f', summary: 'add it without a ping'},
  },
  args: [],
  examples: ['sources', 'sources -a http://127.0.0.1:8080', 'sources -d https://images.smartos.org'],
  async run(context, {flags}) {
    if (flags.add !== undefined && flags.delete !== undefined) {
      throw new ImgctlError('Usage', 'cannot specify more than one of "-a", "-d", "-e", and "-c"');
    }
    const parts: SourcesContext = await context.sourcesContext();
    if (flags.add !== undefined)
      return addSource(parts, {url: flags.add, type: 'imgapi'}, {skipPing: flags.force});
    if (flags.delete !== undefined) return deleteSource(parts, flags.delete);
    return parts.store.read();
  },
  draw: (sources, {flags}) => {
    if (flags.add !== undefined || flags.delete !== undefined) return '';
    return sources.map((source) => source.url).join('\n');
  },
});
