/** What the output is to look like: whose form of unit, and which systemd's. */

export interface GeneratorStyle {
  /** What ExecStart runs: importd through varlinkctl, or imgctl itself. */
  form: 'varlink' | 'imgctl';
  /** True: the options, names and targets of systemd 257. */
  is257: boolean;
}
