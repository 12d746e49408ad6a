import {readFile} from 'node:fs/promises';
import {updateServerImage} from '../actions/server-images.ts';
import {defineCommand} from '../cli/command.ts';
import {openServer, parseAssignments, serverArguments, serverFlags} from '../cli/server-command.ts';
import {ImgctlError} from '../errors.ts';

export default defineCommand({
  id: 'server update',
  family: 'imgctl',
  summary: 'change fields of the manifest of an image on a server',
  description:
    'The server says which fields may be changed, and when. A field of a JSON file that is null is removed; fields given as arguments win over those of the file.',
  flags: {
    ...serverFlags,
    file: {kind: 'string', char: 'f', value: 'FILE', summary: 'a JSON object with fields to change'},
  },
  args: [
    ...serverArguments,
    {name: 'FIELD=VALUE', summary: 'text, or JSON for fields that are not text', optional: true, many: true},
  ],
  examples: [
    'server update https://images.example.com 01b2c898-945f-11e1-a523-af1afbe22822 description="a base image"',
    'server update -f fields.json https://images.example.com 01b2c898-945f-11e1-a523-af1afbe22822',
  ],
  async run(context, {flags, args}) {
    const fields = {...(await readFields(flags.file)), ...parseAssignments(args.slice(2))};
    if (Object.keys(fields).length === 0) throw new ImgctlError('Usage', 'no fields to change are given');
    const server = await openServer(context, args, flags);
    return updateServerImage({report: context.reporter(), signal: context.signal}, {...server, fields});
  },
});

async function readFields(file: string | undefined): Promise<Record<string, unknown>> {
  if (file === undefined) return {};
  try {
    const value: unknown = JSON.parse(await readFile(file, 'utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return {...value};
    throw new Error('it is not an object');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ImgctlError('InvalidArgument', `cannot read fields from "${file}": ${reason}`, {cause: error});
  }
}
