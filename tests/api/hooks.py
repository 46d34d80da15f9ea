"""Teaches schemathesis JSON by lines (docs/api.md): the document has the schema of one line."""

import json

import schemathesis

NDJSON = "application/x-ndjson"


@schemathesis.serializer(NDJSON)
def write(context, value):
    if isinstance(value, (bytes, str)):
        return value
    return (json.dumps(value) + "\n").encode()


@schemathesis.deserializer(NDJSON)
def read(context, response):
    lines = response.content.splitlines()
    return json.loads(lines[0]) if lines else {}
