#!/usr/bin/env bash
# A client of Folio with curl and jq: curl.sh COMMANDS QUERIES, the addresses `make status` prints.
set -euo pipefail
commands=$1 queries=$2 product=example-$(date +%s%N)
path=/v1/products/$product

# A problem ends the script.
send() {
  curl -sS --fail -H 'Content-Type: application/json' -H 'X-Folio-Actor: ada' "$@"
}

# Shows what the command with this token wrote, or says after 20 seconds that it cannot.
ask() {
  curl -sS --fail -H "Consistency-Token: $token" -H 'Prefer: wait=20' --get "$@"
}

created=$(send -X PUT "$commands$path" -H 'If-None-Match: *' -d '{
  "sku": "LAMP 01/b", "name": "Ångström desk lamp", "brand": "Lumière", "category": "Home & Garden/Lamps",
  "price": { "minor_units": 24900, "currency": "EUR" }, "attributes": { "serial": "'"$product"'" }, "status": "listed" }')

# Only if it is still the version we know; with the key, however often it is sent, once.
changed=$(send "$commands$path:change-price" -d '{ "price": { "minor_units": 19900, "currency": "EUR" } }' \
  -H "If-Match: \"$(jq .version <<<"$created")\"" -H "Idempotency-Key: sale-$product")
token=$(jq -r .consistency_token <<<"$changed")

stored=$(ask "$queries$path")

found=$(ask "$queries/v1/search" --data-urlencode 'q=angstrom lamps' --data-urlencode "attr.serial=$product" -d facets=brand)

versions= page=
while [[ $page != null ]]; do
  history=$(ask "$queries$path/history" -d order=asc -d page_size=1 --data-urlencode "page_token=$page")
  versions+=" $(jq '.items[].version' <<<"$history")"
  page=$(jq -r .next_page_token <<<"$history")
done

echo "$product: version $(jq .version <<<"$stored"), found $(jq .total <<<"$found"), history$versions"
