#!/bin/sh
# Azure Pipelines, after the image is pushed. A secret variable is in a step's environment only where it is named:
#
#   - script: sh azure-pipelines.sh
#     env:
#       PROMOTER_TOKEN: $(DEPLOY_TOKEN)
#       IMAGE: registry.example.com/acme/api:$(Build.SourceVersion)
#
# Revision, branch, order (Build.BuildId) and run are read from the predefined variables.
set -eu

: "${PROMOTER_TOKEN:?may write to the manifest repository}"
export PROMOTER_MANIFEST_REPO="${PROMOTER_MANIFEST_REPO:-https://git.example.com/acme/deploy}"
export PROMOTER_ENV="${PROMOTER_ENV:-staging}"
export PROMOTER_IMAGE="${IMAGE:?the image that was pushed}"

if ! command -v promoter >/dev/null 2>&1; then
    python3 -m venv "$AGENT_TEMPDIRECTORY/promoter"
    "$AGENT_TEMPDIRECTORY/promoter/bin/pip" install --quiet promoter==1.0.0
    PATH=$AGENT_TEMPDIRECTORY/promoter/bin:$PATH
fi
promoter bump
