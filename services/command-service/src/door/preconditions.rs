//! What a request asks of its product before its command counts: RFC 9110's `If-Match` and `If-None-Match`, and the field
//! `expected_version`, as one [`Expected`].
//!
//! Promises: whatever is asked is looked at together with the decision, never beforehand; what cannot be kept is refused.

use contract::AddressedCommand;
use domain::Version;
use edge::entity_tags::{EntityTag, Tags};
use edge::problem::Problem;
use ledger::Expected;

use super::malformed;

/// A command and what it asks of its product.
#[derive(Debug)]
pub struct RequestedCommand {
    pub addressed: AddressedCommand,
    pub expected: Expected,
}

impl From<AddressedCommand> for RequestedCommand {
    fn from(addressed: AddressedCommand) -> Self {
        let expected = addressed.expected_version.map(Version::get).into();
        Self { addressed, expected }
    }
}

/// A command with what the headers ask: both must hold, and the field.
///
/// # Errors
/// If the field and the headers cannot hold at once. `field` is how the client's language writes
/// the field's place.
pub(super) fn requested(
    addressed: AddressedCommand,
    if_match: Option<&Tags>,
    if_none_match: Option<&Tags>,
    field: &str,
) -> Result<RequestedCommand, Problem> {
    let asked =
        if_match.map(matched).unwrap_or_default().and(if_none_match.map(not_matched).unwrap_or_default());
    let requested = RequestedCommand::from(addressed);
    let expected = asked.clone().and(requested.expected.clone());
    if expected.is_never_met() && !asked.is_never_met() && requested.addressed.expected_version.is_some() {
        return Err(malformed(format!(
            "the headers ask for {asked}, and {field} for {}: give one of them, or the same",
            requested.expected
        ))
        .field(field, "differs from If-Match or If-None-Match"));
    }
    Ok(RequestedCommand { expected, ..requested })
}

/// By the strong comparison, so that a weak tag matches nothing.
fn matched(tags: &Tags) -> Expected {
    match tags {
        Tags::Any => Expected::existing(),
        Tags::Of(tags) => Expected::one_of(tags.iter().filter(|tag| !tag.is_weak).filter_map(version)),
    }
}

/// By the weak comparison.
fn not_matched(tags: &Tags) -> Expected {
    match tags {
        Tags::Any => Expected::version(0),
        Tags::Of(tags) => Expected::none_of(tags.iter().filter_map(version)),
    }
}

/// The version a tag stands for. A product that does not exist has no tag, so that 0 is none.
fn version(tag: &EntityTag) -> Option<u64> {
    // Tags are compared as they are written: no sign, no zeros before.
    tag.state().parse().ok().filter(|version: &u64| *version > 0 && version.to_string() == tag.state())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(
        if_match: Option<&str>,
        if_none_match: Option<&str>,
        expected_version: Option<u64>,
    ) -> Result<Expected, Problem> {
        let expected_version = expected_version.map(Version);
        let addressed = AddressedCommand { expected_version, ..crate::testing::create("p") };
        let tags = |text: Option<&str>| text.map(|text| Tags::parse([text.as_bytes()]).unwrap());
        let (if_match, if_none_match) = (tags(if_match), tags(if_none_match));
        requested(addressed, if_match.as_ref(), if_none_match.as_ref(), "/expected_version")
            .map(|requested| requested.expected)
    }

    /// Which of the versions 0 (there is no product) to 3 are as asked.
    fn met(expected: &Expected) -> Vec<u64> {
        (0..=3).filter(|version| expected.is_met_by(*version)).collect()
    }

    #[test]
    fn a_version_is_matched_as_the_standard_says() {
        for (if_match, versions) in [
            ("*", vec![1, 2, 3]),
            (" * ", vec![1, 2, 3]),
            ("\"2\"", vec![2]),
            ("\"1\", \"3\"", vec![1, 3]),
            (",\"1\" ,, \"3\",", vec![1, 3]),
            ("W/\"1\"", vec![]),
            ("W/\"1\", \"2\"", vec![2]),
            ("\"2-gzip\"", vec![2]),
            ("\"0\"", vec![]),
            ("\"02\"", vec![]),
            ("\"+2\"", vec![]),
            ("\"\"", vec![]),
            ("\"a,b\", \"1\"", vec![1]),
            ("\"99999999999999999999\"", vec![]),
        ] {
            assert_eq!(met(&asked(Some(if_match), None, None).unwrap()), versions, "If-Match: {if_match}");
        }
        for (if_none_match, versions) in [
            ("*", vec![0]),
            ("\"2\"", vec![0, 1, 3]),
            ("W/\"2\", \"1\"", vec![0, 3]),
            ("W/\"3-gzip\"", vec![0, 1, 2]),
            ("\"abc\"", vec![0, 1, 2, 3]),
        ] {
            let expected = asked(None, Some(if_none_match), None).unwrap();
            assert_eq!(met(&expected), versions, "If-None-Match: {if_none_match}");
        }
        assert_eq!(met(&asked(None, None, None).unwrap()), [0, 1, 2, 3]);
    }

    #[test]
    fn all_that_is_asked_must_hold() {
        assert_eq!(met(&asked(Some("*"), Some("\"2\""), None).unwrap()), [1, 3]);
        assert_eq!(met(&asked(Some("\"1\", \"2\""), Some("\"2\""), Some(1)).unwrap()), [1]);
        assert_eq!(met(&asked(Some("*"), None, Some(3)).unwrap()), [3]);
        assert_eq!(met(&asked(None, Some("*"), Some(0)).unwrap()), [0]);
        // What can never hold by the headers alone is no mistake of the field.
        assert!(asked(Some("*"), Some("*"), None).unwrap().is_never_met());
        assert!(asked(Some("W/\"1\""), None, Some(1)).unwrap().is_never_met());
        for (if_match, if_none_match, field) in
            [(Some("\"1\""), None, 2), (Some("*"), None, 0), (None, Some("*"), 1), (None, Some("\"1\""), 1)]
        {
            let error = asked(if_match, if_none_match, Some(field)).unwrap_err();
            assert_eq!((error.status, error.errors[0].pointer.as_str()), (400, "/expected_version"));
        }
    }
}
