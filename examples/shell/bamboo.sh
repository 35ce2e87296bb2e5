#!/bin/sh
# Bamboo, a script task after the image is pushed, with the plan variables promoter_token_secret (its name has
# Bamboo mask it) and image. Bamboo's variables come with the prefix bamboo_; promoter is told what they say.
set -eu

export PROMOTER_TOKEN="${bamboo_promoter_token_secret:?may write to the manifest repository}"
export PROMOTER_MANIFEST_REPO="${bamboo_manifest_repo:-https://git.example.com/acme/deploy}"
export PROMOTER_ENV="${bamboo_promoter_env:-staging}"
export PROMOTER_IMAGE="${bamboo_image:?the image that was pushed}"

# A build that is run again keeps its number, so the number orders builds.
export PROMOTER_ORDER="bamboo:$bamboo_planKey#$bamboo_buildNumber"
export PROMOTER_SOURCE="$bamboo_planRepository_revision"
export PROMOTER_SOURCE_BRANCH="$bamboo_planRepository_branchName"
export PROMOTER_RUN_URL="$bamboo_resultsUrl"

if ! command -v promoter >/dev/null 2>&1; then
    python3 -m venv "$bamboo_build_working_directory/.promoter-ci"
    "$bamboo_build_working_directory/.promoter-ci/bin/pip" install --quiet promoter==1.0.0
    PATH=$bamboo_build_working_directory/.promoter-ci/bin:$PATH
fi
promoter bump
