#!/bin/sh
# Programs that Debian brings and some tests need. Under CI=true the missing ones are
# installed; on a person's machine only the command is printed, and what it leaves out.
set -eu

missing=""
need() { # program, package, what its tests show
    command -v "$1" >/dev/null 2>&1 && return
    missing="$missing $2"
    echo "without $1 ($2): $3 are left out" >&2
}

need ssh openssh-client "tests of manifest repositories over SSH"
need ssh-keygen openssh-client "tests of SSH signatures"
need gpg gnupg "tests of GPG signatures"
need chromium chromium "tests of the status board in a browser"
need chromedriver chromium-driver "tests of the status board in a browser"
need docker-registry docker-registry "tests of registry look-ups"
need rsync rsync "tests of the GitLab template"
if [ "${CI:-}" = true ]; then # elsewhere tools/programs.py says what it lacks for what is not built yet
    need go golang-go "programs that Go builds"
    need cc "gcc libc6-dev" "programs that Go and C build"
    need npm npm "programs that npm brings"
fi

[ -n "$missing" ] || exit 0
packages=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
if ! command -v apt-get >/dev/null 2>&1; then
    echo "to run them too: install what Debian calls $packages" >&2
    [ "${CI:-}" != true ]
elif [ "${CI:-}" = true ]; then
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of package names
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages
else
    echo "to run them too: sudo apt-get install $packages" >&2
fi
