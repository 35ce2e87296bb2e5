#!/usr/bin/env bash
# Hand the inputs to promoter and run it. Its own variables are PROMOTER_<OPTION>; here they come as
# GIVEN_PROMOTER_<OPTION>, and those that are empty say nothing: what the job sets itself then holds.
set -euo pipefail

fail() {
    printf '::error title=promoter::%s\n' "$1"
    exit 2
}

hide() { # from the log, line by line: a key has several
    local line
    while IFS= read -r line || [[ $line ]]; do
        line=${line%$'\r'}
        ((${#line} < 4)) || printf '::add-mask::%s\n' "${line//\%/%25}"
    done <<<"$1"
}

lines_of() { # the operands in a text: one a line, without empty ones
    local line
    while IFS= read -r line || [[ $line ]]; do
        line=${line%$'\r'}
        [[ -z $line ]] || operands+=("$line")
    done <<<"$1"
}

for secret in TOKEN APP_PRIVATE_KEY SSH_KEY SIGNING_KEY; do
    given=GIVEN_PROMOTER_$secret
    hide "${!given}"
done
for given in "${!GIVEN_PROMOTER_@}"; do
    [[ -z ${!given} ]] || export "${given#GIVEN_}=${!given}"
    unset "$given"
done
if [[ $GIVEN_IMAGES ]]; then
    export PROMOTER_IMAGE="${PROMOTER_IMAGE:-}"$'\n'"$GIVEN_IMAGES"
fi

operands=()
case $GIVEN_COMMAND in
    bump | sync | hold | unhold | doctor) ;;
    promote | diff)
        [[ $GIVEN_FROM && ${PROMOTER_TO:-} ]] || fail "command: $GIVEN_COMMAND takes the inputs from and to"
        operands=("$GIVEN_FROM" "$PROMOTER_TO")
        ;;
    rollback | status | history) lines_of "${PROMOTER_ENV:-}" ;;
    scan | validate) lines_of "${PROMOTER_PATH:-}" ;;
    *) fail 'command is none of bump, promote, rollback, sync, hold, unhold, status, diff, history, scan, validate and doctor' ;;
esac

# Bash's own words would have the value in the log as it is, workflow commands and all.
cd -- "$GIVEN_WORKING_DIRECTORY" 2>/dev/null || fail 'working-directory is no directory of this job: did actions/checkout run?'
if [[ $GIVEN_OUTPUT_FILE ]]; then
    { : >"$GIVEN_OUTPUT_FILE"; } 2>/dev/null || fail 'output-file cannot be written: is it below a directory that exists?'
    exec >"$GIVEN_OUTPUT_FILE"
fi
# -I: what stands in the working directory is no module of promoter's. Bash before 4.4, as on macOS, takes an
# empty array for an unset one.
exec "$FOLDER/bin/python" -I -m promoter "$GIVEN_COMMAND" -- ${operands[@]+"${operands[@]}"}
