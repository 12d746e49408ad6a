// The walls of the house (ARCHITECTURE.md): for each room, which parts of src/ it may import besides
// itself and src/errors.ts. A new room has to be added here, which makes it a decision.
const rooms = {
  manifest: [],
  import1: [],
  formats: [],
  verify: [],
  http: [],
  sys: [],
  downloads: ['http', 'verify', 'sys'],
  instances: ['import1', 'sys'],
  server: ['manifest', 'imgapi', 'verify'],
  generator: ['import1'],
  imgapi: ['manifest', 'http'],
  sources: ['manifest', 'verify', 'http', 'imgapi', 'downloads'],
  catalog: ['manifest', 'sys'],
  engine: ['import1', 'formats', 'verify', 'downloads', 'http', 'sys'],
  dbus: ['engine/engine', 'import1', 'sys', 'formats'],
  actions: [
    'manifest',
    'import1',
    'formats',
    'verify',
    'imgapi',
    'sources',
    'catalog',
    'downloads',
    'instances',
    'engine/engine',
    'engine/capabilities',
  ],
  cli: [
    'manifest',
    'import1',
    'formats',
    'verify',
    'http',
    'sys',
    'imgapi',
    'sources',
    'catalog',
    'downloads',
    'instances',
    'engine',
    'dbus',
    'server',
    'generator',
    'actions',
  ],
  commands: ['manifest', 'import1', 'actions', 'cli'],
};

// Packages that only one place may know about.
const owners = {
  '@oclif/': '^src/(cli|commands)/',
  sqlite3: '^src/catalog/',
  'dbus-native': '^src/dbus/',
  'got/': '^src/http/',
  'lzma-native': '^src/formats/',
  'seek-bzip': '^src/formats/',
  openpgp: '^src/verify/',
};

const wall = ([room, allowed]) => ({
  name: `${room}-wall`,
  severity: 'error',
  from: {path: `^src/${room}/`},
  to: {
    path: '^src/',
    pathNot: [room, ...allowed].map((part) => `^src/${part}[./]`).concat('^src/errors\\.ts$'),
  },
});

const owner = ([pkg, place]) => ({
  name: `${pkg}-owner`,
  severity: 'error',
  from: {path: '^src/', pathNot: place},
  to: {path: `(^|node_modules/)${pkg}`},
});

module.exports = {
  forbidden: [
    {name: 'no-cycles', severity: 'error', from: {}, to: {circular: true}},
    {
      name: 'no-new-room',
      severity: 'error',
      from: {},
      to: {path: '^src/[^/]+/', pathNot: `^src/(${Object.keys(rooms).join('|')})/`},
    },
    ...Object.entries(rooms).map(wall),
    ...Object.entries(owners).map(owner),
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: {fileName: 'tsconfig.json'},
    doNotFollow: {path: 'node_modules'},
  },
};
