import {type AppliedWish, applyWishes} from '../actions/apply.ts';
import {wantedWishes, wishOfExpression} from '../cli/boot-wishes.ts';
import {type CommandSet, defineCommand} from '../cli/command.ts';
import type {CommandContext} from '../cli/context.ts';
import {failFastFlag, type ParsedInput} from '../cli/flags.ts';
import {cellText, drawTable} from '../cli/table.ts';
import {ImgctlError} from '../errors.ts';
import {type ImageWish, isImageWish, type Wish} from '../import1/pull-wish.ts';
import importCommand from './import.ts';

export default defineCommand({
  id: 'apply',
  family: 'imgctl',
  summary: 'fetch the images that this machine is to have',
  description:
    'Does now what the units of import-generator do at boot: fetches what the files of wanted.d ask for and what is not there. One that fails does not keep the others from coming.',
  flags: {
    'dry-run': {kind: 'boolean', char: 'n', summary: 'only say what would be done'},
    ...failFastFlag,
    pull: {
      kind: 'strings',
      value: 'EXPRESSION',
      summary: 'do this pull expression instead of the files; may be repeated',
    },
  },
  args: [],
  examples: ['apply -n', 'apply', 'apply --pull raw,sysext,refresh:tools:https://example.com/tools.raw.xz'],
  exitStatus: {
    1: 'no image could be fetched',
    4: 'some images could not be fetched',
    5: 'the only image was not verified',
  },
  run: async (context, {flags}, commands) => {
    const wishes =
      flags.pull.length > 0
        ? flags.pull.map((expression) => wishOfExpression(context, expression))
        : wantedWishes(context);
    const result = await applyWishes(
      {
        engine: await context.engine(),
        notes: (await context.notes()).lastNotes,
        storeFor: (wish) => storeFor(context, wish),
        importImage: (wish) => importImage(context, wish, commands),
        report: context.reporter(),
        signal: context.signal,
      },
      wishes,
      {isDryRun: flags['dry-run'], isFailFast: flags['fail-fast']},
    );
    context.failLater(result.failure);
    return result.wishes;
  },
  draw: (wishes, _input, context) =>
    drawTable({
      columns: ['class', 'name', 'outcome', 'from'],
      rows: wishes.map((wish: AppliedWish) => [wish.class, wish.name, wish.outcome, wish.from].map(cellText)),
      header: true,
      ...context.tableLook,
    }),
});

function storeFor(context: CommandContext, wish: Wish): {imageClass: Wish['imageClass']; directory: string} {
  const {imageClass} = wish;
  const isRuntime = !isImageWish(wish) && wish.runtime;
  const directory = isRuntime
    ? context.paths.runtimeImageDirectory(imageClass)
    : context.imageDirectory(imageClass);
  return {imageClass, directory};
}

/** As `imgctl import` does it, so that both always mean the same. */
async function importImage(context: CommandContext, wish: ImageWish, commands: CommandSet): Promise<boolean> {
  const flags: Record<string, unknown> = {pool: wish.imageClass};
  for (const [name, value] of Object.entries({channel: wish.channel, name: wish.localName})) {
    if (value === undefined) continue;
    if (!(name in importCommand.flags)) throw new ImgctlError('NotSupported', `import takes no --${name}`);
    flags[name] = value;
  }
  for (const [name, {kind}] of Object.entries(importCommand.flags))
    flags[name] ??= kind === 'boolean' ? false : kind === 'strings' ? [] : undefined;
  const result = await importCommand.run(context, {flags, args: [wish.image]} as ParsedInput, commands);
  return (result as {changed: boolean}).changed;
}
