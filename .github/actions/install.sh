#!/usr/bin/env bash
# The locked packages, each checked against its hash, into a virtual environment of this job's; once for all
# steps of the job. promoter itself is what stands beside this file, or a released version.
set -euo pipefail

cd "$RUNNER_TEMP" # a pyproject.toml, uv.toml or module of the workspace has no say here
lock=$GITHUB_ACTION_PATH/requirements/runtime.txt
program=$FOLDER/bin/python

install() {
    if command -v uv >/dev/null; then
        uv pip install --quiet --python "$program" "$@"
    else # the pip beside Python: one in the environment takes seconds to get there
        "$PYTHON" -m pip --python "$program" install --quiet --no-compile --disable-pip-version-check "$@"
    fi
}

if [[ ! -e $FOLDER/.complete ]]; then
    if ! command -v uv >/dev/null && ! "$PYTHON" -m pip --version >/dev/null 2>&1; then
        echo '::error title=promoter::neither uv nor pip is on this runner: put actions/setup-python before this step'
        exit 2
    fi
    "$PYTHON" -m venv --without-pip --clear "$FOLDER"
    install --no-deps --require-hashes --requirement "$lock"
    [[ -z $VERSION ]] || install --no-deps "promoter==$VERSION"
    touch "$FOLDER/.complete"
fi

if [[ -z $VERSION ]]; then # where the action stands now, also when the environment comes from a cache
    packages=$("$program" -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    printf '%s\n' "$GITHUB_ACTION_PATH" >"$packages/promoter.pth"
fi
