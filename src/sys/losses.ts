/** What a tree lost on its way because this user or file system cannot keep it, as one sentence for each kind. */

export type LossKind =
  | 'owner'
  | 'setid'
  | 'device'
  | 'xattr'
  | 'acl'
  | 'nfs acl'
  | 'domain'
  | 'mount'
  | 'special'
  | 'changed';

const sentences: Record<LossKind, (count: string, example: string) => string> = {
  owner: (count, example) =>
    `${count} not keep the owner, for example ${example}: only root can give files away`,
  setid: (count, example) => `${count} not keep the set-user-id or set-group-id bit, for example ${example}`,
  device: (count, example) =>
    `${count} left out as device nodes, for example ${example}: only root can make them`,
  xattr: (count, example) => `${count} not keep an extended attribute, for example ${example}`,
  acl: (count, example) =>
    `${count} not keep the access control list, for example ${example}: it names users without numbers`,
  'nfs acl': (count, example) =>
    `${count} not keep the NFS access control list, for example ${example}: only the mode counts here`,
  domain: (count, example) =>
    `${count} not keep the domain of the owner, for example ${example}: only the number counts here`,
  special: (count, example) =>
    `${count} left out as sockets or named pipes, for example ${example}: archives do not keep them`,
  changed: (count, example) => `${count} changed or removed while it was read, for example ${example}`,
  mount: (count, example) => `${count} left empty as mount points, for example ${example}`,
};

const wereDone: ReadonlySet<LossKind> = new Set(['device', 'mount', 'special', 'changed']);

export class Losses {
  readonly #counted = new Map<LossKind, {count: number; example: string}>();

  add(kind: LossKind, example: string): void {
    const known = this.#counted.get(kind);
    if (known) known.count++;
    else this.#counted.set(kind, {count: 1, example});
  }

  sentences(): string[] {
    return [...this.#counted].map(([kind, {count, example}]) => {
      const verb = wereDone.has(kind) ? ['was', 'were'] : ['does', 'do'];
      return sentences[kind](
        count === 1 ? `1 entry ${verb[0]}` : `${count} entries ${verb[1]}`,
        JSON.stringify(example),
      );
    });
  }
}
