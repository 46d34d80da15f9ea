#!/usr/bin/env bash
# A client of Folio over gRPC with grpcurl and jq: grpcurl.sh COMMANDS QUERIES, the addresses `make status` prints.
set -euo pipefail
commands=$1 queries=$2 product=example-$(date +%s%N)

# A status that is not OK ends the script; its details are on standard error.
execute() {
  grpcurl -plaintext -H 'x-folio-actor: ada' -d "$1" "$commands" catalog.v1.CommandService/Execute
}

# Shows what the command with this token wrote, or says after 20 seconds that it cannot.
ask() {
  jq '. + { freshness: { consistencyToken: $token, wait: "20s" } }' --arg token "$token" <<<"$2" |
    grpcurl -plaintext -d @ "$queries" "catalog.v1.QueryService/$1"
}

# Version 0: it must never have been there.
created=$(execute '{ "productId": "'"$product"'", "expectedVersion": 0, "createProduct": {
  "sku": "LAMP 01/b", "name": "Ångström desk lamp", "brand": "Lumière", "category": "Home & Garden/Lamps",
  "price": { "minorUnits": 24900, "currency": "EUR" }, "attributes": { "serial": "'"$product"'" }, "status": "STATUS_LISTED" } }')

# Only if it is still the version we know; with the key, however often it is sent, once.
changed=$(execute '{ "productId": "'"$product"'", "expectedVersion": '"$(jq .version <<<"$created")"',
  "idempotencyKey": "sale-'"$product"'", "changePrice": { "price": { "minorUnits": 19900, "currency": "EUR" } } }')
token=$(jq -r .consistencyToken <<<"$changed")

stored=$(ask GetProduct '{ "productId": "'"$product"'" }')

found=$(ask Search '{ "text": "angstrom lamps", "filters": { "attributes": [{ "name": "serial", "value": "'"$product"'" }] },
  "facets": [{ "field": "brand" }] }')

# What is empty, grpcurl does not show.
versions= page=
while
  history=$(ask GetHistory '{ "productId": "'"$product"'", "oldestFirst": true, "pageSize": 1, "pageToken": "'"$page"'" }')
  versions+=" $(jq -r '.entries[].version' <<<"$history")"
  page=$(jq -r '.nextPageToken // empty' <<<"$history")
  [[ $page ]]
do :; done

echo "$product: version $(jq -r .product.product.version <<<"$stored"), found $(jq -r .total <<<"$found"), history$versions"
