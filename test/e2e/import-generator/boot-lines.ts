/** Boots as systemd-import-generator meets them, generated: command lines, credentials and EFI variables, mostly plausible. */

import fc from 'fast-check';

/** What one run of a generator is given; texts are bytes (latin1). */
export interface Boot {
  inInitrd: boolean;
  commandLine: string;
  credential: string | undefined;
  /** The bytes of StubDeviceURL. */
  efiVariable: string | undefined;
}

const option = fc.oneof(
  {weight: 12, arbitrary: fc.constantFrom('raw', 'tar')},
  {weight: 12, arbitrary: fc.constantFrom('machine', 'portable', 'sysext', 'confext')},
  {weight: 8, arbitrary: fc.constantFrom('ro', 'rw', 'verify=no', 'verify=checksum', 'verify=signature')},
  {weight: 6, arbitrary: fc.constantFrom('blockdev', 'bootorigin', 'runtime=yes', 'runtime=0', 'runtime=On')},
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      '',
      'verify=',
      'verify=No',
      'runtime',
      'runtime=',
      'runtime=2',
      'RAW',
      'ro=1',
      ' raw',
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('r\\aw', 'tar\\,raw', 'x\\', 'x\\\\\\\\', 'bogus%', "it's", '\u00e9'),
  },
);

/** Type and class are there more often than not. */
const options = fc
  .tuple(
    fc.option(fc.constantFrom('raw', 'tar'), {freq: 12}),
    fc.option(fc.constantFrom('machine', 'portable', 'sysext', 'confext'), {freq: 12}),
    fc.array(option, {maxLength: 3}),
  )
  .map(([type, imageClass, more]) => [type, imageClass, ...more].filter((each) => each !== null).join(','));

const nameCharacters = [...'abcXYZ019._-@:%$+= \\"\'~#;,', '\u00c3\u00a9', '\u00e9'];
const localName = fc.oneof(
  {weight: 6, arbitrary: fc.constant('')},
  {
    weight: 6,
    arbitrary: fc.constantFrom('a', 'web', 'data.raw', 'a.tar.gz', '-', '.hidden', '.#temp', '..', '.'),
  },
  {weight: 4, arbitrary: fc.string({unit: fc.constantFrom(...nameCharacters), maxLength: 12})},
  {weight: 1, arbitrary: fc.integer({min: 190, max: 260}).map((length) => 'n'.repeat(length))},
  {weight: 1, arbitrary: fc.integer({min: 40, max: 70}).map((length) => '-'.repeat(length))},
);

const urlCharacters = [...'abz09._-~/:?#[]@!$&()*+,;=% \\"\'', '\u00e9'];
const fileName = fc.oneof(
  fc
    .tuple(
      fc.constantFrom('a', 'image', '', '..', 'b%20c', '.x', 'n-1_2'),
      fc.array(
        fc.constantFrom(
          '.raw',
          '.tar',
          '.xz',
          '.gz',
          '.tgz',
          '.zst',
          '.sysext.raw',
          '.img',
          '.qcow2',
          '.bz2',
          '.v',
        ),
        {maxLength: 3},
      ),
    )
    .map(([stem, suffixes]) => stem + suffixes.join('')),
  fc.string({unit: fc.constantFrom(...urlCharacters), maxLength: 12}),
);
const url = fc
  .tuple(
    fc.constantFrom(
      'https://',
      'https://',
      'http://',
      'http://',
      'file:///',
      'file:/',
      'http:///',
      'ftp://',
      'HTTP://',
      '',
    ),
    fc.constantFrom('example.com', 'h:8080', 'u:p@h', '', 'srv'),
    fc.constantFrom('/', '/', '/dir/', '', '//x//', '/a?b=', '/#'),
    fileName,
    fc.constantFrom('', '', '', '/', '//', '?q/r', '#f', ';p'),
  )
  .map((parts) => parts.join(''));

const expression = fc.oneof(
  {weight: 12, arbitrary: fc.tuple(options, localName, url).map((parts) => parts.join(':'))},
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '',
      ':',
      '::',
      'raw',
      'raw,machine',
      'raw,machine:a',
      'raw,machine:a:',
      '\\:a:b',
    ),
  },
  {weight: 1, arbitrary: fc.string({unit: fc.constantFrom(...'abc:,\\=%'), maxLength: 10})},
);

/** Quotes as people and bootloaders put them, and bare where that is likely to survive. */
function quoted(word: string, style: number): string {
  const at = word.indexOf('=') + 1;
  if (style === 0) return `${word.slice(0, at)}"${word.slice(at)}"`;
  if (style === 1) return `'${word}'`;
  return word;
}

const word = fc
  .tuple(
    fc.constantFrom('', '', '', 'rd.'),
    fc.oneof(
      {weight: 10, arbitrary: expression.map((text) => `systemd.pull=${text}`)},
      {
        weight: 2,
        arbitrary: fc.constantFrom(
          'systemd.pull',
          'systemd.pull.success_action=reboot',
          'systemd.pull.success-action=',
          'systemd.pull.failure_action=a%b',
          'systemd.pull.failure_action',
          'systemd_pull=x',
          'quiet',
          '--',
        ),
      },
    ),
    fc.integer({min: 0, max: 5}),
  )
  .map(([prefix, text, style]) => quoted(prefix + text, style));

const credential = fc
  .array(
    fc.oneof(
      {weight: 8, arbitrary: expression},
      {
        weight: 1,
        arbitrary: fc.constantFrom(
          '',
          '# comment',
          '  # comment',
          ' \t',
          `raw,machine:l:http://h/${'l'.repeat(2023)}`,
        ),
      },
      {weight: 1, arbitrary: fc.constant(`raw,machine:l:http://h/${'l'.repeat(2030)}`)},
    ),
    {maxLength: 4},
  )
  .chain((lines) => fc.constantFrom('\n', '\r\n', '\n\n', '\n \n', '\0', '\r').map((end) => lines.join(end)));

const efiVariable = fc
  .tuple(
    fc.oneof(url, fc.constantFrom('http://example.com/boot/image.efi', 'https://h')),
    fc.constantFrom('\0', '', '\0x'),
  )
  .map(([text, end]) => `\x06\0\0\0${Buffer.from(text + end, 'utf16le').toString('latin1')}`);

export const boots: fc.Arbitrary<Boot> = fc
  .record({
    inInitrd: fc.boolean(),
    words: fc.array(word, {maxLength: 3}),
    gap: fc.constantFrom(' ', ' ', '  ', '\t', '\n'),
    credential: fc.option(credential, {nil: undefined, freq: 3}),
    efiVariable: fc.option(efiVariable, {nil: undefined, freq: 2}),
  })
  .map(({words, gap, inInitrd, ...rest}) => {
    // Mostly what counts on this side.
    const commandLine = words.map((each) =>
      inInitrd && !/rd\./.test(each) ? each.replace(/systemd/, 'rd.systemd') : each,
    );
    return {inInitrd, commandLine: commandLine.join(gap), ...rest};
  });

/** Bytes that nobody would type: line breaks, halves of characters, what ends a text in C, and far too much of anything. */
const noise = fc.oneof(
  fc.string({unit: fc.integer({min: 1, max: 255}).map((code) => String.fromCharCode(code)), maxLength: 30}),
  fc.constantFrom(
    '\n',
    '\r\n',
    '\xff\xfe',
    '\xc3',
    '\x1b[2J',
    '%n%s',
    '\\',
    '"',
    "'",
    '..',
    '/',
    ':::',
    ',,,,',
  ),
  fc.constantFrom('n'.repeat(300), '-'.repeat(100), 'o,'.repeat(2000), 'x'.repeat(60_000)),
);
const noisyExpression = fc
  .tuple(
    fc.oneof(options, noise),
    fc.oneof(localName, noise),
    fc.oneof(url, noise),
    fc.constantFrom('', '', ' ', '\n'),
  )
  .map(([first, second, third, end]) => `${first}:${second}:${third}${end}`);
const noisyCredential = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .array(fc.oneof(noisyExpression, noise), {maxLength: 4})
      .chain((lines) => fc.constantFrom('\n', '\0', '\r', '\0\0\n').map((end) => lines.join(end))),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '\0',
      '\n'.repeat(500),
      `${'# '.repeat(512 * 1024)}\n`,
      `raw,machine:m:http://h/x\n${'#\n'.repeat(512 * 1024)}`,
    ),
  },
);

/** What a command line can hold is less than what a file can: no NUL, and 128 KiB in all. */
export const hostileBoots: fc.Arbitrary<Boot> = fc.record({
  inInitrd: fc.boolean(),
  commandLine: fc
    .array(
      fc.tuple(fc.constantFrom('', 'rd.'), fc.oneof(noisyExpression, noise), fc.constantFrom('"', "'", '')),
      {maxLength: 3},
    )
    .map((words) =>
      words
        .map(([prefix, text, quote]) => `${prefix}systemd.pull=${quote}${text}${quote}`)
        .join(' ')
        .slice(0, 130_000),
    ),
  credential: fc.option(noisyCredential, {nil: undefined}),
  efiVariable: fc.option(fc.oneof(efiVariable, noise), {nil: undefined}),
});
