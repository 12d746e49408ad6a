#!/bin/sh
# Makes the files of openpgp.test.ts with the gpg of this machine, into this directory. The clock stands at
# 2026-01-01; one key expires on 2026-02-01, one and one subkey are revoked on 2026-03-01.
set -eu
cd "$(dirname "$0")"
GNUPGHOME=$(mktemp -d)
export GNUPGHOME
trap 'gpgconf --kill all; rm -rf "$GNUPGHOME"' EXIT
at() { when=$1; shift; gpg --batch --quiet --yes --pinentry-mode loopback --passphrase '' --faked-system-time "$when"'!' "$@"; }
new=20260101T000000
fpr() { gpg --batch --quiet --with-colons --list-keys "=$1" | awk -F: '$1 == "fpr" {print $10; exit}'; }
sign() { out=$1; shift; at 20260115T000000 --output "$out" "$@" list; }

printf '%s  disk.raw\n' e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 >list

at $new --quick-generate-key 'Rsa <rsa@example.com>' rsa2048 sign never
at $new --quick-generate-key 'Ed <ed@example.com>' ed25519 sign never
at $new --quick-generate-key 'Sub <sub@example.com>' ed25519 cert never
at $new --quick-add-key "$(fpr 'Sub <sub@example.com>')" rsa2048 sign never
at $new --quick-generate-key 'Subrevoked <subrevoked@example.com>' ed25519 cert never
at $new --quick-add-key "$(fpr 'Subrevoked <subrevoked@example.com>')" ed25519 sign never
at $new --quick-generate-key 'Expired <expired@example.com>' ed25519 sign 20260201T000000
at $new --quick-generate-key 'Revoked <revoked@example.com>' ed25519 sign never
at $new --quick-generate-key 'Impostor <impostor@example.com>' ed25519 sign never

for name in rsa ed sub subrevoked expired revoked impostor; do
  sign $name.gpg --local-user "$name@example.com" --detach-sign
done
sign rsa.asc --local-user rsa@example.com --armor --detach-sign
sign ed-text.asc --local-user ed@example.com --armor --textmode --detach-sign
sign several.gpg --local-user impostor@example.com --local-user ed@example.com --detach-sign
sign clear.asc --local-user ed@example.com --clear-sign
sign inline.gpg --local-user rsa@example.com --sign
sign inline.asc --local-user rsa@example.com --armor --sign
sign sha1.gpg --local-user rsa@example.com --digest-algo SHA1 --allow-weak-digest-algos --detach-sign

revocation=$GNUPGHOME/openpgp-revocs.d/$(fpr 'Revoked <revoked@example.com>').rev
sed 's/^:---/---/' "$revocation" | at 20260301T000000 --import
printf 'key 1\nrevkey\ny\n0\n\ny\nsave\n' |
  at 20260301T000000 --no-batch --command-fd 0 --no-tty --edit-key subrevoked@example.com

gpg --batch --with-colons --list-keys 2>/dev/null | awk -F: '$1 == "pub" {want = 1} $1 == "fpr" && want {fpr = $10; want = 0} $1 == "uid" {split($10, a, " "); print tolower(a[1]), fpr}' | sort >fingerprints

# The name of another user's key proves nothing.
at $new --quick-add-uid impostor@example.com 'Ed <ed@example.com>'
for name in rsa sub subrevoked expired revoked; do gpg --batch --yes --output $name.pgp --export "$name@example.com"; done
gpg --batch --yes --output impostor.pgp --export "$(fpr 'Impostor <impostor@example.com>')"
gpg --batch --yes --output ed.pgp.asc --armor --export "$(fpr 'Ed <ed@example.com>')"
cat ed.pgp.asc >both.pgp.asc
gpg --batch --armor --export rsa@example.com >>both.pgp.asc
