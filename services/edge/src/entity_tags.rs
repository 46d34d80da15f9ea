//! Entity tags in conditions: `If-Match` and `If-None-Match` (RFC 9110, sections 8.8.3, 13.1.1 and 13.1.2).
//!
//! A representation in another coding is another representation, so its strong tag is another one: the coding is appended
//! (`"3"`, `"3-gzip"`), and taken off again where only the resource's state is meant.

use std::fmt;

use crate::fields::Fields;

/// The codings that a tag can end with.
const CODINGS: [&str; 4] = ["-gzip", "-deflate", "-br", "-zstd"];
/// Tags looked at in one condition.
pub const MAX_TAGS: usize = 64;

/// An entity tag: `"3"`, or weak: `W/"3"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityTag {
    pub is_weak: bool,
    /// What stands between the quotes.
    pub opaque: String,
}

/// What a condition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tags {
    /// `*`: any representation that there is.
    Any,
    /// One of these; at least one.
    Of(Vec<EntityTag>),
}

impl EntityTag {
    /// The tag of this state in this coding; `None`: as it is.
    pub fn strong(state: impl fmt::Display, coding: Option<&str>) -> Self {
        let coding = coding.map_or_else(String::new, |coding| format!("-{coding}"));
        Self { is_weak: false, opaque: format!("{state}{coding}") }
    }

    /// What the tag says of the resource's state, whatever the coding.
    pub fn state(&self) -> &str {
        let coding = CODINGS.iter().find_map(|coding| self.opaque.strip_suffix(coding));
        coding.unwrap_or(&self.opaque)
    }
}

impl fmt::Display for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\"{}\"", if self.is_weak { "W/" } else { "" }, self.opaque)
    }
}

impl Tags {
    /// The condition of this name, whose lines are one list. The error reads after its name.
    pub fn of(fields: &impl Fields, name: &str) -> Result<Option<Self>, String> {
        let mut lines = fields.all(name).peekable();
        if lines.peek().is_none() { Ok(None) } else { Self::parse(lines).map(Some) }
    }

    /// Reads the values of all fields of one name. The error reads after the field's name.
    pub fn parse<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, String> {
        let wrong = || "must be * or a list of entity tags in double quotes, as in \"3\", \"4\"".to_owned();
        let mut tags = Vec::new();
        let mut any = false;
        for field in fields {
            let text = std::str::from_utf8(field).map_err(|_| wrong())?;
            let mut rest = text.trim();
            if rest == "*" {
                any = true;
                continue;
            }
            loop {
                // Empty elements of a list are passed over (section 5.6.1).
                rest = rest.trim_start_matches([',', ' ', '\t']);
                if rest.is_empty() {
                    break;
                }
                let is_weak = rest.starts_with("W/");
                let quoted = rest.strip_prefix("W/").unwrap_or(rest);
                let (opaque, after) =
                    quoted.strip_prefix('"').and_then(|quoted| quoted.split_once('"')).ok_or_else(wrong)?;
                if opaque.chars().any(|c| c.is_ascii_control() || c == ' ') {
                    return Err(wrong());
                }
                if tags.len() == MAX_TAGS {
                    return Err(format!("must name at most {MAX_TAGS} entity tags"));
                }
                tags.push(EntityTag { is_weak, opaque: opaque.to_owned() });
                rest = after.trim_start_matches([' ', '\t']);
                if !rest.is_empty() && !rest.starts_with(',') {
                    return Err(wrong());
                }
            }
        }
        match (any, tags.is_empty()) {
            (true, true) => Ok(Self::Any),
            (false, false) => Ok(Self::Of(tags)),
            (true, false) | (false, true) => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Tags, String> {
        Tags::parse([text.as_bytes()])
    }

    fn tag(is_weak: bool, opaque: &str) -> EntityTag {
        EntityTag { is_weak, opaque: opaque.to_owned() }
    }

    #[test]
    fn lists_weak_tags_and_the_star_are_read() {
        assert_eq!(parse(" * "), Ok(Tags::Any));
        assert_eq!(parse("\"3\""), Ok(Tags::Of(vec![tag(false, "3")])));
        let list = parse(", \"a,b\" ,W/\"4-gzip\",, \"\"");
        assert_eq!(list, Ok(Tags::Of(vec![tag(false, "a,b"), tag(true, "4-gzip"), tag(false, "")])));
        let fields = Tags::parse([&b"\"1\""[..], &b"\"2\""[..]]);
        assert_eq!(fields, Ok(Tags::Of(vec![tag(false, "1"), tag(false, "2")])));
    }

    #[test]
    fn what_is_no_list_of_tags_is_an_error() {
        for wrong in [
            "",
            ",",
            "3",
            "\"3",
            "3\"",
            "\"3\" \"4\"",
            "\"3\"x",
            "w/\"3\"",
            "*, \"3\"",
            "\"a b\"",
            "W/3",
            "\"3\", *",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(Tags::parse([&b"*"[..], &b"\"3\""[..]]).is_err());
        assert!(parse(&"\"1\",".repeat(65)).is_err() && parse(&"\"1\",".repeat(64)).is_ok());
    }

    #[test]
    fn the_coding_is_part_of_the_tag_and_not_of_the_state() {
        let tag = EntityTag::strong(3, Some("gzip"));
        assert_eq!((tag.to_string().as_str(), tag.state()), ("\"3-gzip\"", "3"));
        assert_eq!(EntityTag::strong(3, None).to_string(), "\"3\"");
        assert_eq!(EntityTag::strong("x", None).state(), "x");
    }
}
