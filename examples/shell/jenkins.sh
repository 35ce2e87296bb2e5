#!/bin/sh
# Jenkins, in a stage after the image is pushed:
#
#   withCredentials([string(credentialsId: 'promoter-token', variable: 'PROMOTER_TOKEN')]) {
#     sh 'IMAGE=registry.example.com/acme/api:$GIT_COMMIT sh jenkins.sh'
#   }
#
# Revision, branch, order and run are read from Jenkins' own variables. A Pipeline that checks out by itself has
# no GIT_COMMIT: PROMOTER_SOURCE gives it there.
set -eu

: "${PROMOTER_TOKEN:?may write to the manifest repository}"
export PROMOTER_MANIFEST_REPO="${PROMOTER_MANIFEST_REPO:-https://git.example.com/acme/deploy}"
export PROMOTER_ENV="${PROMOTER_ENV:-staging}"
export PROMOTER_IMAGE="${IMAGE:?the image that was pushed}"

if ! command -v promoter >/dev/null 2>&1; then
    python3 -m venv "$WORKSPACE_TMP/promoter"
    "$WORKSPACE_TMP/promoter/bin/pip" install --quiet promoter==1.0.0
    PATH=$WORKSPACE_TMP/promoter/bin:$PATH
fi
promoter bump
