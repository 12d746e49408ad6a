/**
 * Imports in a process of its own, for tests that kill it or run it as another user. Takes one JSON argument,
 * prints a JSON line when the data is complete (`held`, if asked to wait there) and one with the end.
 */
import {EmbeddedEngine} from '../../src/engine/embedded/embedded-engine.ts';

export interface ImportProcessArguments {
  directory: string;
  runtimeDirectory: string;
  sourcePath: string;
  localName: string;
  sandbox?: 'auto' | 'off';
  readOnly?: boolean;
  /** Stay before the commit until killed. */
  hold?: boolean;
}

const {
  directory,
  hold,
  sandbox = 'auto',
  runtimeDirectory,
  ...request
} = JSON.parse(process.argv[2] ?? '') as ImportProcessArguments;
const engine = new EmbeddedEngine({runtimeDirectory, sandbox});
const say = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);
try {
  const transfer = await engine.import({
    format: 'auto',
    store: {imageClass: 'machine', directory},
    ...request,
    beforeCommit: async () => {
      say({held: true});
      if (hold) await new Promise((resolve) => setTimeout(resolve, 600_000));
    },
  });
  say({started: transfer.id});
  say(await transfer.finished);
} catch (error) {
  say({code: (error as {code: string}).code, message: (error as Error).message});
}
