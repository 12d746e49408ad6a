/** The command map as oclif reads it (package.json, `oclif.commands`): for its own tools, such as `oclif manifest`. */

import {oclifCommand} from '../cli/oclif-adapter.ts';
import {commands} from './index.ts';

export const COMMANDS = Object.fromEntries(
  await Promise.all(
    commands
      .ids('imgctl')
      .map(async (id) => [id.replaceAll(' ', ':'), oclifCommand(await commands.load(id))]),
  ),
);
