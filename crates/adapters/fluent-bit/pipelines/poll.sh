#!/bin/sh
# What in_exec runs: the attributes of the events published in the last hour, one per line.
# MISP_URL is in the environment; the file MISP_HEADERS holds `Authorization: <key>`, so that the
# key is on no command line. It ends with an error, and says so on stderr, if MISP cannot be read.
# An hour that is missed here is missed for good: where that matters, let `misp-ecs run` poll and
# send to Fluent Bit's `http` input instead.
set -eu
# Not a pipe: the shell would take jq's success for that of curl.
answer=$(curl --silent --show-error --fail --header @"$MISP_HEADERS" \
    --header 'Accept: application/json' --header 'Content-Type: application/json' \
    --data '{"returnFormat":"json","published":true,"publish_timestamp":"1h","includeContext":true,"includeEventTags":true}' \
    "$MISP_URL/attributes/restSearch") || {
    echo "poll.sh: MISP at $MISP_URL could not be read, nothing is mapped in this poll" >&2
    exit 1
}
printf '%s\n' "$answer" | jq --compact-output '.response.Attribute[]'
