//! Names of what is said beside a command or a question: HTTP's headers, gRPC's metadata.
//!
//! Promise: a name that can only mean one of ours and is spelled another way is found, so that it is refused and not passed
//! over.

/// The first of `names` that is not `accepted` and means one of `meanings`, with what belongs to that meaning.
pub fn misspelt<'n, 'm, T>(
    names: impl IntoIterator<Item = &'n str>,
    accepted: &[&str],
    meanings: &'m [(&str, T)],
) -> Option<(&'n str, &'m T)> {
    names.into_iter().filter(|name| !accepted.contains(name)).find_map(|name| {
        let plain = plain(name);
        meanings.iter().find(|(meaning, _)| *meaning == plain).map(|(_, what)| (name, what))
    })
}

/// The name without what people add to it or write otherwise.
fn plain(name: &str) -> String {
    let name = name.to_ascii_lowercase().replace('_', "-");
    let name = name.strip_suffix("-bin").unwrap_or(&name);
    let name = name.strip_prefix("x-").unwrap_or(name);
    name.strip_prefix("folio-").unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_however_it_is_spelled() {
        const MEANINGS: &[(&str, u8)] = &[("actor", 1), ("if-match", 2)];
        let found = |name| misspelt([name], &["x-folio-actor", "if-match"], MEANINGS).map(|(_, what)| *what);
        for name in
            ["actor", "Actor", "x-actor", "X_Actor", "folio-actor", "x-folio_actor", "x-folio-actor-bin"]
        {
            assert_eq!(found(name), Some(1), "{name}");
        }
        for name in ["IF_MATCH", "x-if-match", "folio-if-match", "if-match-bin"] {
            assert_eq!(found(name), Some(2), "{name}");
        }
        for name in ["x-folio-actor", "if-match", "user-agent", "grpc-trace-bin", "x-", "-bin", "", "actors"]
        {
            assert_eq!(found(name), None, "{name}");
        }
        assert_eq!(misspelt(["host", "x-actor"], &[], MEANINGS), Some(("x-actor", &1)));
    }
}
