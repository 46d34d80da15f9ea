# From `cargo metadata --format-version 1` to a CycloneDX bill of materials of what ships: every package that the four programs are
# built of, without those of tests. Cargo.lock alone decides what is in it, so it needs no network and is the same every time.
def purl: "pkg:cargo/\(.name)@\(.version)";
def expression: gsub(" */ *"; " OR ");
(.packages | map({key: .id, value: .}) | from_entries) as $packages
| (.resolve.nodes | map({key: .id, value: [.deps[] | select(any(.dep_kinds[]; .kind != "dev")) | .pkg]}) | from_entries) as $needs
| [.packages[] | select(.source == null and (.name | IN("command-service", "projector", "query-gateway", "cli"))) | .id] as $programs
| def reach($seen): if length == 0 then $seen
    else ([.[] | $needs[.][]] | unique) as $next | ($next - $seen) | reach($seen + .) end;
($programs | reach($programs)) as $shipped
| ($packages[$programs[0]].version) as $version
| {
    bomFormat: "CycloneDX", specVersion: "1.5", version: 1,
    metadata: {component: {type: "application", "bom-ref": "folio", name: "folio", version: $version}},
    components: [$shipped[] | $packages[.] | {
        type: "library", "bom-ref": purl, name, version, purl: purl,
        licenses: (if .license then [{expression: (.license | expression)}] else [] end)
    }] | sort_by(."bom-ref"),
    dependencies: (
        [{ref: "folio", dependsOn: [$programs[] | $packages[.] | purl] | sort}]
        + [$shipped[] | {ref: ($packages[.] | purl), dependsOn: [$needs[.][] | $packages[.] | purl] | unique}]
    ) | sort_by(.ref)
  }
