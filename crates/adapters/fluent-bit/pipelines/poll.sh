#!/bin/sh
# What in_exec runs: the attributes of the events published in the last hour, one a line.
# MISP_URL is in the environment; the file MISP_HEADERS holds `Authorization: <key>`, so that the
# key is on no command line. An hour that is missed here is missed for good: where that matters,
# let `misp-ecs run` poll and send to Fluent Bit's `http` input instead.
set -eu
curl --silent --show-error --fail --header @"$MISP_HEADERS" \
    --header 'Accept: application/json' --header 'Content-Type: application/json' \
    --data '{"returnFormat":"json","published":true,"publish_timestamp":"1h","includeContext":true,"includeEventTags":true}' \
    "$MISP_URL/attributes/restSearch" | jq --compact-output '.response.Attribute[]'
