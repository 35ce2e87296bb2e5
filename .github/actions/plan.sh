#!/usr/bin/env bash
# Which Python runs promoter, and where its packages are: the folder's name says all that they depend on.
set -euo pipefail

fail() {
    printf '::error title=promoter::%s\n' "$1"
    exit 2
}

[[ ${RUNNER_OS:-} != Windows ]] || fail 'promoter runs on Linux and macOS runners, not on Windows: set runs-on: ubuntu-latest'
# A name for a package index: no option, no address, no file.
[[ -z $VERSION || $VERSION =~ ^[0-9][0-9A-Za-z.]*$ ]] || fail 'the input version is no version number, as 1.2.3'

recent='import sys; sys.exit(sys.version_info < (3, 11))'
python=
# Behind PATH what setup-python left, or the runner's image has: the runners of Ubuntu 22.04 have 3.10 on PATH.
for each in python3 python3.14 python3.13 python3.12 python3.11 "${RUNNER_TOOL_CACHE:-/opt/hostedtoolcache}"/Python/3.1[1-9].*/*/bin/python3; do
    if found=$(command -v "$each") && "$found" -I -c "$recent" 2>/dev/null; then
        python=$found
        break
    fi
done
[[ $python ]] || fail 'promoter needs Python 3.11 or newer, and this runner has none: put actions/setup-python before this step'

key=$("$python" -I - "$GITHUB_ACTION_PATH/requirements/runtime.txt" "$VERSION" <<'END'
import hashlib, platform, sys

lock, version = sys.argv[1:]
parts = [open(lock, "rb").read(), version, sys.version, sys.executable, platform.platform()]
print(hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:20])
END
)
{
    echo "python=$python"
    echo "key=promoter-$key"
    echo "folder=$RUNNER_TEMP/promoter-$key"
} >>"$GITHUB_OUTPUT"
