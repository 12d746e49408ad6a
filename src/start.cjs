/*
 * What the launchers start: `start.cjs PROGRAM ARG…`. Commands that only read go the short way (src/cli/quick.ts), a single
 * file with what V8 made of it beside it; everything else, and what the short way leaves, is main.js.
 * CommonJS and without a package: the loader of ES modules alone is a tenth of a start. Measured and left out: a start-up
 * snapshot (a start with an empty one takes 1.4 times as long as without), V8 flags (no difference but for downloads).
 * In words that old Nodes understand, so that one too old can say so.
 */
'use strict';

const oldest = 26;
const quickWords = ['list', 'avail', 'available', 'get', 'info', 'sources', '--version'];
const downloadWords = ['pull-raw', 'pull-tar', 'import', 'install'];

/** The short way, and the script that it is. */
function startQuick() {
  const fs = require('node:fs');
  const vm = require('node:vm');
  const filename = `${__dirname}/quick.cjs`;
  let cachedData;
  try {
    cachedData = fs.readFileSync(`${__dirname}/quick.cache`);
  } catch (_absent) {
    // Slower, no more; so is one that another Node made, which V8 refuses.
  }
  const text = `(function(exports,require,module,__filename,__dirname){${fs.readFileSync(filename, 'latin1')}\n})`;
  const script = new vm.Script(text, {filename, cachedData});
  const quick = {exports: {}};
  script.runInThisContext().call(quick.exports, quick.exports, require, quick, filename, __dirname);
  return {run: quick.exports.runQuick, script};
}

/**
 * Keeps the heap of young objects as small as it begins. The buffers of a download lie outside the heap and go only with
 * objects that die young: seldom collected, 64 MiB of them pile up, and then V8 marks everything there is. A gibibyte took
 * 3.4 s of user time, and takes 2.1 s.
 */
function collectOften() {
  require('node:v8').setFlagsFromString('--semi-space-growth-factor=1');
}

function startLong(argv) {
  if (argv.some((word) => downloadWords.includes(word))) collectOften();
  return import('./main.js');
}

function start(name, argv) {
  if (name === 'importctl' || !argv.some((word) => quickWords.includes(word))) return startLong(argv);
  const program = name === 'imgadm' ? 'imgadm' : 'imgctl';
  return startQuick()
    .run(program, argv)
    .then((isDone) => (isDone ? undefined : startLong(argv)));
}

if (Number(process.versions.node.split('.')[0]) < oldest) {
  const found = process.versions.node;
  process.stderr.write(`${process.argv[2]}: error: Node ${oldest} or newer is needed, found v${found}\n`);
  process.exitCode = 1;
} else if (require.main === module) {
  start(process.argv[2], process.argv.slice(3));
} else {
  // For the build, which runs the short way and keeps what V8 made of it.
  module.exports = startQuick;
}
