/** The explicit command map: which commands there are, whose manners they have, and where they are. */

import {CommandMap} from '../cli/command-map.ts';

export const commands = new CommandMap({
  apply: {family: 'imgctl', load: () => import('./apply.ts')},
  avail: {family: 'imgadm', aliases: ['available'], load: () => import('./avail.ts')},
  'cache prune': {family: 'imgctl', load: () => import('./cache-prune.ts')},
  'boot-report': {family: 'imgctl', load: () => import('./boot-report.ts')},
  clone: {family: 'imgctl', load: () => import('./clone.ts')},
  delete: {family: 'imgadm', aliases: ['destroy'], load: () => import('./delete.ts')},
  doctor: {family: 'imgctl', load: () => import('./doctor.ts')},
  get: {family: 'imgadm', aliases: ['info'], load: () => import('./get.ts')},
  ignore: {family: 'imgctl', load: () => import('./ignore.ts')},
  import: {family: 'imgadm', load: () => import('./import.ts')},
  'import-generator': {family: 'imgctl', load: () => import('./import-generator.ts')},
  install: {family: 'imgadm', load: () => import('./install.ts')},
  list: {family: 'imgadm', load: () => import('./list.ts')},
  'manifest check': {family: 'imgctl', load: () => import('./manifest-check.ts')},
  'manifest upgrade': {family: 'imgctl', load: () => import('./manifest-upgrade.ts')},
  'migrate-imgadm': {family: 'imgctl', load: () => import('./migrate-imgadm.ts')},
  publish: {family: 'imgadm', load: () => import('./publish.ts')},
  serve: {family: 'imgctl', load: () => import('./serve.ts')},
  show: {family: 'imgadm', load: () => import('./show.ts')},
  sources: {family: 'imgadm', load: () => import('./sources.ts')},
});
