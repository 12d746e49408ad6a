import {defineCommand} from '../cli/command.ts';
import {serve} from '../cli/serve.ts';

export default defineCommand({
  id: 'serve',
  family: 'imgctl',
  summary: 'be an image server over a directory',
  description:
    'Speaks the IMGAPI protocol: lists, shows and delivers images, and takes new ones from publish. With a users file those users alone may write, by signatures or passwords; without one whoever reaches the port may publish and delete, so it listens on loopback unless told otherwise. Ends on SIGINT or SIGTERM.',
  flags: {
    listen: {
      kind: 'string',
      value: 'ADDRESS:PORT',
      summary: 'where to listen (default 127.0.0.1:8080; port 0 takes a free one)',
    },
    mode: {
      kind: 'string',
      value: 'MODE',
      summary:
        'public (the default): images are for everybody; private: for their owners and those they share them with',
    },
    'max-file': {
      kind: 'string',
      value: 'SIZE',
      summary: 'largest file of an image that is taken (default 20G)',
    },
    users: {kind: 'string', value: 'FILE', summary: 'who may write (default DIR/users.json, if it is there)'},
  },
  args: [{name: 'DIR', summary: 'directory of the images; made when missing'}],
  examples: [
    'serve /srv/images',
    'serve --listen 127.0.0.1:0 ./images',
    'serve --users users.json /srv/images',
  ],
  run: async (context, {flags, args}) =>
    serve(context, {
      directory: args[0] ?? '',
      listen: flags.listen ?? '127.0.0.1:8080',
      mode: flags.mode ?? 'public',
      usersFile: flags.users,
      maxFile: flags['max-file'],
    }),
});
