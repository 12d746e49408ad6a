import {editSources} from '../actions/edit-sources.ts';
import {addSource, checkSources, deleteSource, type ListedSource} from '../actions/sources.ts';
import {defineCommand} from '../cli/command.ts';
import {dryRunFlag} from '../cli/flags.ts';
import {parseAuth} from '../cli/source-auth.ts';
import {cellText, drawTable} from '../cli/table.ts';
import {ImgctlError} from '../errors.ts';

const hubUrl = 'https://docker.io';

export default defineCommand({
  id: 'sources',
  family: 'imgadm',
  summary: 'list, add, remove and check image sources',
  description:
    'Without options prints the URLs of the configured sources in the order in which they are asked.',
  flags: {
    json: {kind: 'boolean', char: 'j', summary: 'print JSON'},
    verbose: {kind: 'boolean', char: 'v', shadows: true, summary: 'print a table of URL, type and insecure'},
    add: {kind: 'string', char: 'a', value: 'URL', summary: 'add a source, after it has answered a ping'},
    delete: {kind: 'string', char: 'd', value: 'URL', summary: 'remove a source'},
    edit: {kind: 'boolean', char: 'e', summary: 'change the list in an editor'},
    check: {kind: 'boolean', char: 'c', summary: 'ask all sources whether they are there'},
    type: {kind: 'string', char: 't', value: 'TYPE', summary: 'imgapi (default) or dsapi'},
    insecure: {kind: 'boolean', char: 'k', summary: 'never check the certificate of the added source'},
    force: {kind: 'boolean', char: 'f', summary: 'do not ping new sources'},
    ...dryRunFlag,
    name: {kind: 'string', value: 'NAME', summary: 'a short name for the added source'},
    user: {kind: 'string', value: 'NAME', summary: 'who requests to the added source come from'},
    key: {
      kind: 'string',
      value: 'KEY',
      summary:
        'sign them: a private RSA key file, "agent", or the SHA256: fingerprint of a key the agent has',
    },
    'password-file': {
      kind: 'string',
      value: 'FILE',
      summary: 'send the password that is the first line of FILE',
    },
    'add-docker-hub': {kind: 'boolean', hidden: true, summary: 'refused: docker is not supported'},
  },
  args: [],
  examples: [
    'sources',
    'sources -a http://127.0.0.1:8080',
    'sources -d https://images.smartos.org',
    'sources -c',
    'sources -a https://images.example.com --name corp --user alice --key agent',
  ],
  async run(context, {flags}): Promise<ListedSource[]> {
    const url = flags['add-docker-hub'] ? hubUrl : flags.add;
    const asked = [url !== undefined, flags.delete !== undefined, flags.edit, flags.check];
    if (asked.filter(Boolean).length > 1) {
      throw new ImgctlError('Usage', 'cannot specify more than one of "-a", "-d", "-e", and "-c"');
    }
    const parts = await context.sourcesContext({isDryRun: flags['dry-run']});
    const options = {skipPing: flags.force};
    if (url !== undefined) {
      const type = flags['add-docker-hub'] ? 'docker' : (flags.type ?? 'imgapi');
      const auth = parseAuth(flags, context.environment.cwd);
      return addSource(parts, {url, type, insecure: flags.insecure, name: flags.name, auth}, options);
    }
    for (const name of ['name', 'user', 'key', 'password-file'] as const) {
      if (flags[name] !== undefined) throw new ImgctlError('Usage', `"--${name}" needs "-a"`);
    }
    if (flags.delete !== undefined) return deleteSource(parts, flags.delete);
    if (flags.edit) {
      const {editText} = await import('../cli/editor.ts');
      return editSources(parts, (text) => editText(context.environment, text, 'sources'), options);
    }
    return flags.check ? checkSources(parts) : parts.store.read();
  },
  draw: (sources, {flags}, {tableLook}) => {
    if (flags.add !== undefined || flags.delete !== undefined || flags.edit) return '';
    if (flags.check) {
      const rows = sources.map(({url, type, ok, error}) => {
        return [url, type, ok, error?.split('\n')[0]].map(cellText);
      });
      return drawTable({columns: ['url', 'type', 'ok', 'error'], rows, header: true, ...tableLook});
    }
    if (!flags.verbose) return sources.map((source) => source.url).join('\n');
    const rows = sources.map(({url, type, insecure}) => [url, type, insecure === true].map(cellText));
    return drawTable({columns: ['url', 'type', 'insecure'], rows, header: true, ...tableLook});
  },
});
