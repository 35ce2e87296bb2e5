#!/bin/sh
# CircleCI, as a step of a job with an image that has Python and git (cimg/python), after the image is pushed:
#
#   - run: {name: Promote, command: sh circleci.sh}
#
# with PROMOTER_TOKEN from a context. CircleCI's variables tell revision, branch and run. A workflow that is run
# again has new build numbers; what orders builds is the commit's time, or the pipeline's number, as given below:
#
#   environment: {PIPELINE_NUMBER: << pipeline.number >>}
set -eu

: "${PROMOTER_TOKEN:?may write to the manifest repository}"
export PROMOTER_MANIFEST_REPO="${PROMOTER_MANIFEST_REPO:-https://git.example.com/acme/deploy}"
export PROMOTER_ENV="${PROMOTER_ENV:-staging}"
export PROMOTER_IMAGE="${IMAGE:?the image that was pushed}"
if [ -n "${PIPELINE_NUMBER:-}" ]; then
    export PROMOTER_ORDER="circleci:$CIRCLE_PROJECT_USERNAME/$CIRCLE_PROJECT_REPONAME:pipeline#$PIPELINE_NUMBER"
fi

if ! command -v promoter >/dev/null 2>&1; then
    python3 -m venv /tmp/promoter
    /tmp/promoter/bin/pip install --quiet promoter==1.0.0
    PATH=/tmp/promoter/bin:$PATH
fi
promoter bump
