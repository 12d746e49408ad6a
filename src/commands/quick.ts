/** The commands that the quick bundle has: those that are asked for again and again, and only read. */

import {CommandMap} from '../cli/command-map.ts';

export const quickCommands = new CommandMap({
  avail: {family: 'imgadm', aliases: ['available'], load: () => import('./avail.ts')},
  get: {family: 'imgadm', aliases: ['info'], load: () => import('./get.ts')},
  list: {family: 'imgadm', load: () => import('./list.ts')},
  sources: {family: 'imgadm', load: () => import('./sources.ts')},
});
