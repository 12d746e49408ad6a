# shellcheck shell=bash
# The cases of $IMGCTL_CASES for a program of ours, given to capture.sh in their place: each begins with an empty
# download cache, the host's own is not touched, and what a case starts by way of PATH is ours, too.
# shellcheck source=/dev/null
. "$IMGCTL_CASES"
mount -t tmpfs tmpfs /var/cache
PATH=$(dirname "$CAPTURE_IMPORTCTL"):$PATH
eval "their_$(declare -f cases)"
cases() {
	eval "their_$(declare -f t)"
	t() {
		rm -rf /var/cache/imgctl
		their_t "$@"
	}
	their_cases
}
