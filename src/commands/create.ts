import {readFile} from 'node:fs/promises';
import {createImage} from '../actions/create.ts';
import {type GivenFields, parseFields, parseGiven} from '../actions/create-manifest.ts';
import {publishImage} from '../actions/publish.ts';
import {readManifestFile} from '../actions/read-manifest-file.ts';
import {defineCommand} from '../cli/command.ts';
import type {CommandContext} from '../cli/context.ts';
import {parseDuration} from '../cli/durations.ts';
import {dryRunFlag} from '../cli/flags.ts';
import {outputPlaces} from '../cli/output-places.ts';
import {readInput} from '../cli/read-input.ts';
import {ImgctlError} from '../errors.ts';
import type {ManifestFile} from '../manifest/manifest.ts';

const maxScriptBytes = 1024 * 1024;
const compressions: Readonly<Record<string, ManifestFile['compression']>> = {
  none: 'none',
  bzip2: 'bzip2',
  gzip: 'gzip',
  gz: 'gzip',
  xz: 'xz',
};

export default defineCommand({
  id: 'create',
  family: 'imgadm',
  summary: 'make an image of an instance',
  description:
    'Writes the image file and its manifest from a stopped instance, which is only read. Fields that are not given come from the image the instance was made from, then from its os-release file.',
  flags: {
    manifest: {kind: 'string', char: 'm', value: 'MANIFEST', summary: 'JSON file with fields; - for stdin'},
    'output-template': {
      kind: 'string',
      char: 'o',
      value: 'PATH',
      summary: 'a directory for the files, or the beginning of their names (default NAME-VERSION)',
    },
    compression: {
      kind: 'string',
      char: 'c',
      value: 'COMPRESSION',
      summary: 'none, gzip (or gz), bzip2 or xz (default none)',
    },
    incremental: {
      kind: 'boolean',
      char: 'i',
      summary: 'only what differs from the image that the instance was made from',
    },
    script: {
      kind: 'string',
      char: 's',
      value: 'SCRIPT',
      summary: 'run this program in a throw-away copy first, and make the image of the copy',
    },
    metadata: {
      kind: 'strings',
      value: 'KEY=VALUE',
      summary: 'metadata that the script may read with mdata-get',
    },
    'prepare-timeout': {
      kind: 'string',
      value: 'DURATION',
      summary: 'how long the script may take to start, and again to end (default 300s)',
    },
    'prepare-network': {kind: 'boolean', summary: 'let the script use the network of this host'},
    'max-origin-depth': {
      kind: 'string',
      value: 'N',
      summary: 'fail if the image would have more than N images below it',
    },
    publish: {
      kind: 'string',
      char: 'p',
      value: 'URL',
      summary: 'upload to the image server instead of keeping the files',
    },
    ...dryRunFlag,
    quiet: {kind: 'boolean', char: 'q', summary: 'no progress and no notices; warnings and errors stay'},
  },
  args: [
    {name: 'MACHINE', summary: 'name of the instance', optional: true},
    {name: 'FIELD=VALUE', summary: 'manifest fields; over those of -m', optional: true, many: true},
  ],
  examples: [
    'create web1 name=web version=1.0.0',
    'create -i -c gzip web1 name=web version=1.0.1',
    'create -c xz -o /var/tmp -m web.json web1',
    'create -s prepare.sh web1 name=web version=1.0.1',
    'create -p http://127.0.0.1:8080 web1 name=web version=1.0.1',
  ],
  run: async (context, {flags, args}) => {
    const [machine, ...fields] = args;
    if (machine === undefined) throw new ImgctlError('Usage', 'incorrect number of args (0): ""');
    const compression = compressionOf(flags.compression);
    if (flags['output-template'] !== undefined && flags.publish !== undefined) {
      throw new ImgctlError('Usage', 'cannot specify both -o,--output-template and -p,--publish');
    }
    const given = {...(await givenFields(context, flags.manifest)), ...parseFields(fields)};
    return createImage(await context.action(), {
      machine,
      given,
      compression,
      incremental: flags.incremental,
      prepare:
        flags.script === undefined
          ? undefined
          : {
              script: await readScript(flags.script),
              metadata: metadataOf(flags.metadata),
              hasNetwork: flags['prepare-network'],
              timeoutMs: parseDuration(flags['prepare-timeout'] ?? '300s'),
            },
      maxOriginDepth: depthOf(flags['max-origin-depth']),
      outputs: outputPlaces(context.paths.cacheDirectory),
      outputTemplate: flags['output-template'],
      isDryRun: flags['dry-run'],
      publish: flags.publish === undefined ? undefined : await publisher(context, flags.publish),
    });
  },
});

function compressionOf(text = 'none'): ManifestFile['compression'] {
  const compression = Object.hasOwn(compressions, text) ? compressions[text] : undefined;
  if (compression) return compression;
  throw new ImgctlError(
    'Usage',
    `invalid -c,--compression "${text}": must be one of "none", "bzip2", "gzip", "xz"`,
  );
}

/** The guest may read it as metadata, whose values have a limit. */
async function readScript(file: string): Promise<Buffer> {
  let script: Buffer;
  try {
    script = await readFile(file);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ImgctlError('Usage', `cannot read prepare script "${file}": ${reason}`, {cause: error});
  }
  if (script.length <= maxScriptBytes) return script;
  throw new ImgctlError('LimitExceeded', `prepare script "${file}" is larger than ${maxScriptBytes} bytes`);
}

function metadataOf(list: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    list.map((text) => {
      const at = text.indexOf('=');
      if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
      throw new ImgctlError('Usage', `invalid metadata "${text}": must match "<key>=<value>"`);
    }),
  );
}

function depthOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const depth = Number(text);
  if (Number.isInteger(depth) && depth > 1) return depth;
  throw new ImgctlError('Usage', `invalid max-origin-depth "${text}": must be greater than 1`);
}

async function givenFields(context: CommandContext, file: string | undefined): Promise<GivenFields> {
  if (file === undefined) return {};
  if (file === '-') return parseGiven(await readInput(context.environment.stdin), 'on stdin');
  const text = await readManifestFile(file, 'Usage', `manifest path does not exist: "${file}"`);
  return parseGiven(text, `in "${file}"`);
}

async function publisher(context: CommandContext, url: string) {
  const client = await context.network.imgapi(url);
  const inner = {report: context.reporter(), signal: context.signal, program: context.program};
  return (files: {manifestPath: string; filePath: string}) =>
    publishImage(inner, {...files, url, client, keep: false});
}
