//! Names of columns in maps: with `*` for any text, or as templates with `{column}` in them.

use serde::Deserialize;

use super::row::{Row, folded};

/// The name of a column in which `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub(crate) struct Pattern(String);

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Pattern {
    /// What the first `*` stands for if this is `name`; the name itself if there is none.
    pub(crate) fn matches<'a>(&self, name: &'a str) -> Option<&'a str> {
        let name = name.trim();
        let mut literals = self.0.split('*');
        let first = literals.next().unwrap_or_default();
        let rest: Vec<&str> = literals.collect();
        if rest.is_empty() {
            return (folded(first) == folded(name)).then_some(name);
        }
        let mut left = strip_start(name, first.trim_start())?;
        let mut caught = None;
        for (at, literal) in rest.iter().enumerate() {
            let last = at + 1 == rest.len();
            let literal = if last { literal.trim_end() } else { literal };
            let found = if last { find_end(left, literal)? } else { find(left, literal)? };
            caught.get_or_insert(&left[..found]);
            left = left.get(found + literal.len()..).unwrap_or_default();
        }
        caught.map(str::trim).filter(|caught| !caught.is_empty())
    }

    /// The same with `text` in place of `*`.
    pub(crate) fn with(&self, text: &str) -> String {
        self.0.replacen('*', text, 1)
    }
}

fn strip_start<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let head = text.get(..start.len())?;
    (head.to_lowercase() == start.to_lowercase()).then(|| &text[start.len()..])
}

fn find(text: &str, literal: &str) -> Option<usize> {
    if literal.is_empty() {
        return Some(text.len());
    }
    (0..text.len()).find(|&at| text.get(at..).is_some_and(|rest| strip_start(rest, literal).is_some()))
}

fn find_end(text: &str, literal: &str) -> Option<usize> {
    let at = text.len().checked_sub(literal.len())?;
    strip_start(text.get(at..)?, literal).map(|_| at)
}

/// A column, or a text with columns in braces: `{carat} ct {cut}`. After the name may stand `?` (may be blank), `|lower`, and
/// `|slug`; `{#}` is the row's number, `{#:5}` with zeros before it.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Column { name: Pattern, optional: bool, change: Option<Change> },
    Number { width: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Lower,
    Slug,
}

/// What a template came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) text: String,
    /// The column it is from; the first of several.
    pub(crate) column: String,
    /// What `*` stood for.
    pub(crate) caught: Option<String>,
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if !text.contains('{') {
            return Ok(Self(vec![Part::Column { name: Pattern(text), optional: false, change: None }]));
        }
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (inner, after) =
                after.split_once('}').ok_or_else(|| format!("{text:?} has a {{ without a }}"))?;
            parts.push(part(inner)?);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }
}

fn part(inner: &str) -> Result<Part, String> {
    if let Some(width) = inner.strip_prefix('#') {
        let width = width.trim_start_matches(':');
        let width = if width.is_empty() { Ok(0) } else { width.parse() };
        let width = width.ok().filter(|width| *width <= 20);
        return width
            .map(|width| Part::Number { width })
            .ok_or_else(|| format!("{{{inner}}} is no row number"));
    }
    let (name, change) = match inner.split_once('|') {
        None => (inner, None),
        Some((name, "lower")) => (name, Some(Change::Lower)),
        Some((name, "slug")) => (name, Some(Change::Slug)),
        Some((_, other)) => return Err(format!("there is no |{other}: write |lower or |slug")),
    };
    let (name, optional) = name.strip_suffix('?').map_or((name, false), |name| (name, true));
    Ok(Part::Column { name: Pattern(name.to_owned()), optional, change })
}

impl Template {
    /// Whether it has this column in it.
    pub(crate) fn names(&self, column: &str) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Column { name, .. } if name.matches(column).is_some()))
    }

    /// Whether it has the row's number in it.
    pub(crate) fn has_number(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Number { .. }))
    }

    /// The names in it, for people.
    pub(crate) fn columns(&self) -> Vec<&str> {
        let name = |part: &'_ Part| matches!(part, Part::Column { .. });
        self.0
            .iter()
            .filter(|part| name(part))
            .filter_map(
                |part| if let Part::Column { name, .. } = part { Some(name.0.as_str()) } else { None },
            )
            .collect()
    }

    /// Every value it has in `row`: several if it is one column with a `*`. `is_blank` tells cells that say nothing.
    pub(crate) fn values(&self, row: &Row, is_blank: impl Fn(&str) -> bool) -> Vec<Value> {
        if let [Part::Column { name, change, .. }] = &self.0[..]
            && name.0.contains('*')
        {
            let columns = row.columns.names().iter().zip(&row.cells);
            let caught =
                columns.filter_map(|(column, cell)| Some((column, cell.trim(), name.matches(column)?)));
            return caught
                .filter(|(_, cell, _)| !cell.is_empty() && !is_blank(cell))
                .map(|(column, cell, caught)| Value {
                    text: changed(cell, *change),
                    column: column.clone(),
                    caught: Some(caught.to_owned()),
                })
                .collect();
        }
        self.filled(row, is_blank).into_iter().collect()
    }

    /// Its value in `row`; none if one of its columns is blank, or all of those that may be.
    pub(crate) fn filled(&self, row: &Row, is_blank: impl Fn(&str) -> bool) -> Option<Value> {
        self.joined(row, is_blank, |cell| cell)
    }

    /// Like [`Template::filled`], but a `/` in a cell is not one between cells: other cells make other texts.
    pub(crate) fn identity(&self, row: &Row, is_blank: impl Fn(&str) -> bool) -> Option<Value> {
        if self.0.len() == 1 {
            return self.values(row, is_blank).into_iter().next();
        }
        self.joined(row, is_blank, |cell| cell.replace('~', "~0").replace('/', "~1"))
    }

    fn joined(
        &self,
        row: &Row,
        is_blank: impl Fn(&str) -> bool,
        written: impl Fn(String) -> String,
    ) -> Option<Value> {
        let (mut text, mut from) = (String::new(), None);
        for part in &self.0 {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Number { width } => {
                    let number = format!("{:0width$}", row.number);
                    text.push_str(&number);
                    from.get_or_insert("");
                }
                Part::Column { name, optional, change } => {
                    match row.get(&name.0).filter(|cell| !is_blank(cell)) {
                        Some(cell) => {
                            text.push_str(&written(changed(cell, *change)));
                            from.get_or_insert(&name.0);
                        }
                        None if *optional => {}
                        None => return None,
                    }
                }
            }
        }
        let column = from?.to_owned();
        Some(Value { text, column, caught: None })
    }

    /// The same with `text` in place of `*`, as the name of a column.
    pub(crate) fn with(&self, text: &str) -> Option<String> {
        match &self.0[..] {
            [Part::Column { name, .. }] => Some(name.with(text)),
            _ => None,
        }
    }
}

fn changed(text: &str, change: Option<Change>) -> String {
    match change {
        None => text.to_owned(),
        Some(Change::Lower) => text.to_lowercase(),
        Some(Change::Slug) => text
            .to_lowercase()
            .split(|c: char| !c.is_alphanumeric())
            .filter(|it| !it.is_empty())
            .collect::<Vec<_>>()
            .join("-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        let matches =
            |pattern: &str, name: &str| Pattern(pattern.to_owned()).matches(name).map(str::to_owned);
        assert_eq!(matches("* (product attribute)", "Größe (Product Attribute)").as_deref(), Some("Größe"));
        assert_eq!(matches("Option* Name", "Option2 name").as_deref(), Some("2"));
        assert_eq!(matches("Attribute * value(s)", "Attribute 12 value(s)").as_deref(), Some("12"));
        assert_eq!(
            matches("* (product.metafields.*)", "Fabric (product.metafields.shopify.fabric)").as_deref(),
            Some("Fabric")
        );
        assert_eq!(matches("Meta: *", "Meta: a").as_deref(), Some("a"));
        assert_eq!(matches("SKU", " sku ").as_deref(), Some("sku"));
        assert_eq!(matches("Option* Name", "Option1 Value"), None);
        assert_eq!(matches("* (product attribute)", " (product attribute)"), None);
        assert_eq!(matches("Image *", "Image"), None);
        assert_eq!(matches("é*", "e"), None);
    }

    #[test]
    fn a_template_is_filled_from_the_row() {
        let row = Row::of(&[("carat", "0.23"), ("cut", "Very Good"), ("note", ""), ("x", "n/a")]);
        let filled = |text: &str| {
            let template = Template::try_from(text.to_owned()).unwrap();
            template.filled(&row, |cell| cell == "n/a").map(|value| value.text)
        };
        assert_eq!(filled("cut").as_deref(), Some("Very Good"));
        assert_eq!(filled("{carat} ct {cut|lower}").as_deref(), Some("0.23 ct very good"));
        assert_eq!(filled("diamonds/{cut|slug}").as_deref(), Some("diamonds/very-good"));
        assert_eq!(filled("d-{#:5}").as_deref(), Some("d-00001"));
        assert_eq!(filled("{carat}/{note?}/{x?}").as_deref(), Some("0.23//"));
        assert_eq!(filled("{carat} {note}"), None);
        assert_eq!(filled("x"), None);
        assert_eq!(filled("{note?}"), None);
        let identity = |a: &str, b: &str| {
            let row = Row::of(&[("a", a), ("b", b)]);
            Template::try_from("{a}/{b?}".to_owned()).unwrap().identity(&row, |_| false).unwrap().text
        };
        assert_eq!(identity("tee", "M"), "tee/M");
        let all = [("a/b", "c"), ("a", "b/c"), ("a~1b", "c"), ("a~01b", "c")].map(|(a, b)| identity(a, b));
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len(), "{all:?}");
        for wrong in ["{carat", "{carat|upper}", "{#:x}", "{#:99}"] {
            assert!(Template::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
