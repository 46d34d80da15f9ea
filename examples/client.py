#!/usr/bin/env python3
"""A client of Folio with Python's standard library: client.py COMMANDS QUERIES, the addresses `make status` prints."""
import json, sys, time, urllib.error, urllib.request, uuid
from urllib.parse import urlencode

ATTEMPTS = 5


def call(method, url, body=None, headers=None):
    """Sends a request and gives the answer's JSON. What may be sent again is, after the time the answer names."""
    headers = dict(headers or {})
    if body is not None:
        # Every command needs it, also one that says nothing more.
        headers["Content-Type"] = "application/json"
        body = json.dumps(body).encode()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            # application/problem+json: `code` is for programs, `detail` and `errors` are for people.
            problem = json.load(error)
            if not problem["retryable"] or attempt == ATTEMPTS:
                raise RuntimeError(f"{method} {url}: {problem['code']}: {problem['detail']} {problem.get('errors', '')}") from error
            time.sleep(problem.get("retry_after", 1))


def main(commands, queries):
    product = f"example-{uuid.uuid4()}"
    path = f"/v1/products/{product}"

    # With the key the same request may be sent again, whatever became of the first: it gets the first answer.
    created = call("PUT", commands + path, {
        "sku": product, "name": "Ångström desk lamp", "brand": "Lumière", "category": "Home & Garden/Lamps",
        "price": {"minor_units": 24900, "currency": "EUR"}, "attributes": {"serial": product}, "status": "listed",
    }, {"X-Folio-Actor": "ada", "If-None-Match": "*", "Idempotency-Key": f"new-{product}"})

    # Only if it is still the version we know; with the key, however often it is sent, once.
    changed = call("POST", f"{commands}{path}:change-price", {"price": {"minor_units": 19900, "currency": "EUR"}},
                   {"X-Folio-Actor": "ada", "If-Match": f'"{created["version"]}"', "Idempotency-Key": f"sale-{product}"})

    # With the token of an answer a read shows what it wrote, or says that it cannot yet: then it is sent again.
    fresh = {"Consistency-Token": changed["consistency_token"], "Prefer": "wait=20"}
    stored = call("GET", queries + path, headers=fresh)
    assert stored["price"]["minor_units"] == 19900

    question = urlencode({"q": "angstrom lamps", "attr.serial": product, "facets": "brand"})
    found = call("GET", f"{queries}/v1/search?{question}", headers=fresh)

    versions, token = [], ""
    while token is not None:
        question = urlencode({"order": "asc", "page_size": 1, "page_token": token})
        page = call("GET", f"{queries}{path}/history?{question}", headers=fresh)
        versions += [str(item["version"]) for item in page["items"]]
        token = page["next_page_token"]

    print(f"{product}: version {stored['version']}, found {found['total']}, history {' '.join(versions)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
