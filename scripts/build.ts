/**
 * Builds dist/: validators compiled from schemas/, the native binding, and the bundle.
 * Steps can be named on the command line (`node scripts/build.ts validators native bundle manifest`).
 */
import {execFileSync} from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {Ajv2020} from 'ajv/dist/2020.js';
import standaloneModule from 'ajv/dist/standalone/index.js';
import {build, type Plugin} from 'esbuild';
import {childOptions} from '../src/engine/embedded/child-process.ts';

const root = path.dirname(import.meta.dirname);
const require = createRequire(import.meta.url);
const standaloneCode = standaloneModule as unknown as typeof standaloneModule.default;

/** Schema file → module that gets its compiled validator as default export. */
const compiledSchemas: Record<string, string> = {
  'manifest.schema.json': 'src/manifest/manifest-schema.generated.js',
  'config.schema.json': 'src/cli/config-schema.generated.js',
};

/** Schemas compiled to one validator per property and definition (by name), each stopping at the first fault. */
const compiledByPart = new Set(['manifest.schema.json']);

interface ValidatorModule {
  code: string;
  types: string;
}

interface PartedSchema {
  properties?: Record<string, PartedSchema>;
  $defs?: object;
}

function compileWhole(schema: object): ValidatorModule {
  const ajv = new Ajv2020({allErrors: true, verbose: true, strict: true, code: {source: true}});
  const types = `import type {ErrorObject} from 'ajv';
declare const validate: {(value: unknown): boolean; errors?: ErrorObject[] | null};
export default validate;
`;
  return {code: standaloneCode(ajv, ajv.compile(schema)), types};
}

function compileParts(schema: PartedSchema & {$id: string}): ValidatorModule {
  const ajv = new Ajv2020({
    strict: true,
    allowUnionTypes: true,
    messages: false,
    code: {source: true},
  });
  ajv.addSchema(schema);
  const refs: Record<string, string> = {};
  for (const [name, pointer] of partsOf(schema, '#')) {
    if (name in refs) throw new Error(`${schema.$id} has two parts named "${name}"`);
    refs[name] = schema.$id + pointer;
  }
  const members = Object.keys(refs).map((name) => `  readonly ${name}: (value: unknown) => boolean;\n`);
  const types = `declare const parts: {\n${members.join('')}};\nexport default parts;\n`;
  return {code: standaloneCode(ajv, refs), types};
}

/** Name and pointer of every property, also of nested objects, and of every definition. */
function* partsOf(schema: PartedSchema, pointer: string): Generator<[name: string, pointer: string]> {
  for (const [name, part] of Object.entries(schema.properties ?? {})) {
    yield [name, `${pointer}/properties/${name}`];
    yield* partsOf(part, `${pointer}/properties/${name}`);
  }
  for (const name of Object.keys(schema.$defs ?? {})) yield [name, `${pointer}/$defs/${name}`];
}

async function buildValidators(): Promise<void> {
  for (const [schemaName, target] of Object.entries(compiledSchemas)) {
    const schemaPath = path.join(root, 'schemas', schemaName);
    if (!existsSync(schemaPath)) {
      console.warn(`no validator for ${schemaName}: the schema does not exist yet`);
      continue;
    }
    const schema = JSON.parse(readFileSync(schemaPath, 'utf8'));
    const {code, types} = compiledByPart.has(schemaName) ? compileParts(schema) : compileWhole(schema);
    const result = await build({
      stdin: {contents: code, resolveDir: root, loader: 'js'},
      bundle: true,
      format: 'esm',
      platform: 'node',
      minify: true,
      write: false,
    });
    writeFileSync(path.join(root, target), result.outputFiles[0]?.text ?? '');
    writeFileSync(path.join(root, target.replace(/\.js$/, '.d.ts')), types);
  }
}

/** Node-API is stable across Node versions, so the headers of one package serve every Node. */
function buildNative(): void {
  const headers = path.join(path.dirname(require.resolve('node-api-headers/package.json')), 'include');
  mkdirSync(path.join(root, 'dist'), {recursive: true});
  const target = path.join(root, 'dist/native.node');
  const temporary = `${target}.${process.pid}`;
  execFileSync(
    process.env.CC ?? 'cc',
    [
      '-O2',
      '-Wall',
      '-Wextra',
      '-Werror',
      '-std=gnu11',
      '-shared',
      '-fPIC',
      `-I${headers}`,
      '-o',
      temporary,
      path.join(root, 'src/sys/native.c'),
      path.join(root, 'src/sys/socket.c'),
      path.join(root, 'src/sys/whole-file.c'),
      path.join(root, 'src/sys/entry-batch.c'),
      path.join(root, 'src/sys/tar-entries.c'),
      path.join(root, 'src/sys/kept-directories.c'),
      path.join(root, 'src/sys/btrfs-quota.c'),
      path.join(root, 'src/sys/xz-decoder.c'),
      path.join(root, 'src/sys/bzip2-decoder.c'),
      path.join(root, 'src/sys/bzip2-block.c'),
      path.join(root, 'src/sys/bzip2-text.c'),
      path.join(root, 'src/sys/bzip2-checksum.c'),
      path.join(root, 'src/sys/step.c'),
      path.join(root, 'src/sys/sparse-writer.c'),
      path.join(root, 'src/sys/inflate.c'),
      path.join(root, 'src/sys/inflate-fast.c'),
      path.join(root, 'src/sys/inflate-tables.c'),
      path.join(root, 'src/sys/gzip-checksum.c'),
      path.join(root, 'src/sys/gzip-decoder.c'),
      path.join(root, 'src/sys/zstd-library.c'),
      path.join(root, 'src/sys/zstd-codec.c'),
      path.join(root, 'src/sys/cluster-batch.c'),
      path.join(root, 'src/sys/copy-beside.c'),
      path.join(root, 'src/sys/background-sync.c'),
      path.join(root, 'src/sys/small-file.c'),
      path.join(root, 'src/sys/missing-names.c'),
      path.join(root, 'src/sys/digest.c'),
    ],
    {stdio: 'inherit'},
  );
  renameSync(temporary, target);
}

const external = ['sqlite3', 'lzma-native', 'openpgp', 'seek-bzip', '@oclif/core'];
const requireBanner =
  "import {createRequire as createRequireOfBundle} from 'node:module'; const require = createRequireOfBundle(import.meta.url);";

async function buildBundle(): Promise<void> {
  rmSync(path.join(root, 'dist/chunks'), {recursive: true, force: true});
  const entryPoints = Object.entries({
    'transfer-worker': path.join(root, 'src/cli/transfer-worker.ts'),
    importd: path.join(root, 'src/importd.ts'),
    'oclif-commands': path.join(root, 'src/commands/oclif.ts'),
  }).filter(([, source]) => existsSync(source));
  await build({
    entryPoints: Object.fromEntries(entryPoints),
    outdir: path.join(root, 'dist'),
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node26',
    external,
    banner: {js: requireBanner},
    logLevel: 'warning',
    legalComments: 'none',
    keepNames: true,
  });
  await buildGenerator();
  await buildCached();
}

/** What the quick bundle has of what the program loads when it is asked for. */
const quickModules =
  /\/(?:commands\/(?:avail|get|list|sources)|actions\/resolve-image|catalog\/catalog-to-read|cli\/source-settings-store|sys\/missing-names|engine\/embedded\/image-names)\.ts$/;

/** Of Node: the rest takes longer to load than the commands to run. */
const quickBuiltins = ['node:fs', 'node:os', 'node:path'];

/** In the place of all else, packages included, stands something that fails (src/cli/quick.ts). */
const longWay: Plugin = {
  name: 'long-way',
  setup({onResolve, onLoad}) {
    onResolve({filter: /^\./}, ({path: name, kind, resolveDir}) => {
      const isQuick = kind !== 'dynamic-import' || quickModules.test(path.join(resolveDir, name));
      return isQuick ? undefined : {path: name, namespace: 'long-way'};
    });
    onResolve({filter: /^[^./]/}, ({path: name, kind}) =>
      quickBuiltins.includes(name) || kind === 'entry-point'
        ? undefined
        : {path: name, namespace: 'long-way'},
    );
    onLoad({filter: /./, namespace: 'long-way'}, () => ({
      contents: "module.exports = function () { throw new Error('not for the quick commands'); };",
    }));
  },
};

/** Modules of Node that take 1 to 6 ms to load, and that many transfers do without: loaded with the first use of a name of theirs. */
const lateBuiltins = /^node:(?:child_process|crypto|dns|fs\/promises|readline|stream|zlib)$/;

const late: Plugin = {
  name: 'late',
  setup({onResolve, onLoad}) {
    onResolve({filter: lateBuiltins}, ({path: name, namespace}) =>
      namespace === 'late' ? {path: name, external: true} : {path: name, namespace: 'late'},
    );
    onLoad({filter: /./, namespace: 'late'}, ({path: name}) => {
      const getters = Object.keys(require(name)).map((key) => `get ${key}() { return all().${key}; },`);
      return {
        contents: `let loaded; const all = () => (loaded ??= require('${name}')); module.exports = {${getters.join('')}};`,
      };
    });
  },
};

const children = {
  'unpack-child': 'src/engine/embedded/unpack-child.ts',
  'export-child': 'src/engine/embedded/export/export-child.ts',
  'stream-child': 'src/engine/zfs-pool/stream-child.ts',
  'convert-child': 'src/engine/embedded/convert/convert-child.ts',
};

/** Files of CommonJS, and beside each what V8 makes of it: see src/start.cjs. */
async function buildCached(): Promise<void> {
  const dist = path.join(root, 'dist');
  const common = {
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node26',
    // Read as one byte a character, which is quicker.
    charset: 'ascii',
    minifyWhitespace: true,
    define: {'import.meta.dirname': '__dirname', 'import.meta.url': '__filename'},
    // A script that V8 is given as text has no loader of modules.
    supported: {'dynamic-import': false},
    // What `require` puts around a module; here rather than there, where it would be a copy of the text.
    banner: {js: '(function(exports,require,module,__filename,__dirname){'},
    footer: {js: '})'},
    logLevel: 'warning',
    legalComments: 'none',
  } as const;
  await build({
    ...common,
    entryPoints: [path.join(root, 'src/quick.ts')],
    outfile: path.join(dist, 'quick.cjs'),
    plugins: [longWay],
  });
  await build({
    ...common,
    entryPoints: [path.join(root, 'src/main.ts')],
    outfile: path.join(dist, 'main.cjs'),
    external,
    keepNames: true,
    plugins: [late],
  });
  await build({
    ...common,
    entryPoints: Object.fromEntries(
      Object.entries(children).map(([name, source]) => [name, path.join(root, source)]),
    ),
    outdir: dist,
    outExtension: {'.js': '.cjs'},
    external,
    plugins: [late],
  });
  copyFileSync(path.join(root, 'src/start.cjs'), path.join(dist, 'start.cjs'));
  makeCaches();
}

function makeCaches(): void {
  // Of the children first: main-cache.ts starts them.
  const samples = mkdtempSync(path.join(tmpdir(), 'imgctl-build-'));
  try {
    for (const name of ['export-child', 'convert-child', 'unpack-child', 'stream-child'])
      makeCache('child-cache.ts', {options: childOptions, list: [name, samples]});
  } finally {
    rmSync(samples, {recursive: true, force: true});
  }
  makeCache('quick-cache.ts');
  makeCache('main-cache.ts');
}

function makeCache(
  script: string,
  {options = [], list = []}: {options?: readonly string[]; list?: readonly string[]} = {},
): void {
  const words = [...options, path.join(root, 'scripts', script), path.join(root, 'dist'), ...list];
  const nothing = openSync('/dev/null', 'r+');
  execFileSync(process.execPath, words, {stdio: ['ignore', 'ignore', 'pipe', nothing, nothing]});
  closeSync(nothing);
}

/** One small file: it is read at every boot, before anything else may start. */
async function buildGenerator(): Promise<void> {
  await build({
    entryPoints: [path.join(root, 'src/import-generator.ts')],
    outdir: path.join(root, 'dist'),
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node26',
    logLevel: 'warning',
    legalComments: 'none',
  });
}

/** What oclif's own tools read instead of loading every command. */
function buildManifest(): void {
  execFileSync(path.join(root, 'node_modules/.bin/oclif'), ['manifest', root], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

const steps: Record<string, () => void | Promise<void>> = {
  validators: buildValidators,
  native: buildNative,
  bundle: buildBundle,
  manifest: buildManifest,
};
const chosen = process.argv.slice(2);
for (const name of chosen.length > 0 ? chosen : Object.keys(steps)) {
  const step = steps[name];
  if (!step) throw new Error(`unknown build step "${name}"`);
  await step();
}
