/*
 * What the launchers start: `start.cjs PROGRAM ARG…`. Commands that only read go the short way (src/cli/quick.ts); everything
 * else, and what the short way leaves, is src/main.ts. The children of transfers are programs too: `start.cjs CHILD TASK`.
 * All are bundles of a single file with what V8 made of it beside it: sixty small files of modules took a third of the start
 * of a transfer, and a child that V8 has to compile begins 20 ms later.
 * CommonJS and without a package: the loader of ES modules alone is a tenth of a start. Measured and left out: a start-up
 * snapshot (a start with an empty one takes 1.4 times as long as without), V8 flags (no difference but for downloads).
 * In words that old Nodes understand, so that one too old can say so.
 */
'use strict';

const oldest = 26;
const quickWords = ['list', 'avail', 'available', 'get', 'info', 'sources', '--version'];
const childNames = ['unpack-child', 'export-child', 'convert-child', 'stream-child'];
const downloadWords = ['pull-raw', 'pull-tar', 'import', 'install'];

/** A bundle of one file, a function around all of it, with what V8 made of it at build time; and the script that it is. */
function load(name) {
  const fs = require('node:fs');
  const vm = require('node:vm');
  const filename = `${__dirname}/${name}.cjs`;
  let cachedData;
  try {
    cachedData = fs.readFileSync(`${__dirname}/${name}.cache`);
  } catch (_absent) {
    // Slower, no more; so is one that another Node made, or one under other flags, which V8 refuses.
  }
  const script = new vm.Script(fs.readFileSync(filename, 'latin1'), {filename, cachedData});
  const bundle = {exports: {}};
  script.runInThisContext().call(bundle.exports, bundle.exports, require, bundle, filename, __dirname);
  return {exports: bundle.exports, script};
}

/**
 * Keeps the heap of young objects as small as it begins. The buffers of a download lie outside the heap and go only with
 * objects that die young: seldom collected, 64 MiB of them pile up, and then V8 marks everything there is. A gibibyte took
 * 3.4 s of user time, and takes 2.1 s.
 */
function collectOften() {
  require('node:v8').setFlagsFromString('--semi-space-growth-factor=1');
}

/**
 * Ends where nothing is left to wait for, without Node taking everything apart that ends with the process anyway: that takes
 * 4 ms of an empty one, and more of one with a heap.
 */
function endAtOnce() {
  process.once('beforeExit', () => process.exit());
}

function startLong(program, argv) {
  const {runMain} = load('main').exports;
  // After the loading: V8 refuses what it made under other flags.
  if (argv.some((word) => downloadWords.includes(word))) collectOften();
  return runMain(program, argv).then((status) => {
    // Output that could not be written has set one already.
    process.exitCode ||= status;
  });
}

function start(name, argv) {
  if (childNames.includes(name)) return load(name).exports.runTask(argv[0]);
  const program = name === 'imgadm' || name === 'importctl' ? name : 'imgctl';
  if (program === 'importctl' || !argv.some((word) => quickWords.includes(word)))
    return startLong(program, argv);
  return load('quick')
    .exports.runQuick(program, argv)
    .then((isDone) => (isDone ? undefined : startLong(program, argv)));
}

if (Number(process.versions.node.split('.')[0]) < oldest) {
  const found = process.versions.node;
  process.stderr.write(`${process.argv[2]}: error: Node ${oldest} or newer is needed, found v${found}\n`);
  process.exitCode = 1;
} else if (require.main === module) {
  endAtOnce();
  start(process.argv[2], process.argv.slice(3));
} else {
  // For the build, which runs the bundles and keeps what V8 made of them.
  module.exports = load;
}
