#!/bin/sh
# Tekton, the script of a step whose image has Python and git (python:3.13). Parameters and secrets reach it as
# environment variables: a $(params.…) inside of a script would be a command.
#
#   env:
#     - {name: PROMOTER_TOKEN, valueFrom: {secretKeyRef: {name: promoter, key: token}}}
#     - {name: IMAGE, value: $(params.image)}
#     - {name: REVISION, value: $(params.revision)}
#     - {name: COMMIT_TIME, value: $(tasks.clone.results.committer-date)}
#     - {name: RUN, value: $(context.pipelineRun.name)}
#
# Tekton counts no runs: builds are ordered by the commit's time, here in seconds as the task git-clone says it.
set -eu

: "${PROMOTER_TOKEN:?may write to the manifest repository}"
export PROMOTER_MANIFEST_REPO="${PROMOTER_MANIFEST_REPO:-https://git.example.com/acme/deploy}"
export PROMOTER_ENV="${PROMOTER_ENV:-staging}"
export PROMOTER_IMAGE="${IMAGE:?the image that was pushed}"
export PROMOTER_SOURCE="${REVISION:?the commit that was built}"
PROMOTER_SOURCE_TIME=$(date --utc --date="@${COMMIT_TIME:?of that commit}" +%Y-%m-%dT%H:%M:%SZ)
export PROMOTER_SOURCE_TIME
export PROMOTER_ACTOR="${RUN:?the run}"

if ! command -v promoter >/dev/null 2>&1; then
    pip install --quiet promoter==1.0.0
fi
promoter bump
