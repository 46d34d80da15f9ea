//! What the columns of a file mean: a map. Shops' exports have theirs built in (the presets); any other file gets one in
//! YAML, described in `docs/import.md`. A key that is not known is an error.

use std::path::Path;

use anyhow::{Context, bail};
use serde::Deserialize;

use super::row::{Columns, Row, folded};
use super::template::{Pattern, Template};

/// What the columns of a file mean.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// Columns by which a file is recognised: all of one of the lists.
    #[serde(default)]
    pub(crate) recognise: Vec<Vec<String>>,
    /// The file's separator; told by its first line if none.
    #[serde(default)]
    pub(crate) separator: Option<char>,
    /// The decimal mark of prices, `.` or `,`.
    #[serde(default)]
    pub(crate) decimal: Option<char>,
    /// The currency of prices that name none.
    #[serde(default)]
    pub(crate) currency: Option<String>,
    /// Cells that say nothing, beside blank ones.
    #[serde(default)]
    pub(crate) blank: Vec<String>,
    #[serde(default)]
    pub(crate) rows: RowRules,
    pub(crate) product_id: Field,
    /// The product id where there is none.
    #[serde(default)]
    pub(crate) sku: Field,
    pub(crate) name: Field,
    #[serde(default)]
    pub(crate) description: Field,
    pub(crate) category: Category,
    pub(crate) brand: Field,
    pub(crate) price: Price,
    #[serde(default)]
    pub(crate) tags: Tags,
    #[serde(default)]
    pub(crate) status: Status,
    #[serde(default)]
    pub(crate) attributes: Vec<Attribute>,
    /// Columns (patterns) that are known and not taken: they are not told as unknown.
    #[serde(default)]
    pub(crate) ignore: Vec<Pattern>,
}

/// Which rows are products, and what they take from others.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RowRules {
    /// Rows with the same cell here, one below another, belong together: blank cells are taken from the first of them.
    pub(crate) group_by: Vec<String>,
    /// The columns (patterns) that are taken from the group's first row or from the parent; all if none.
    pub(crate) inherit: Vec<Pattern>,
    /// A row of a group that has none of these is no product.
    pub(crate) product_has: Vec<String>,
    /// Rows that are no products: a column and what it then holds.
    pub(crate) skip: Option<Cells>,
    /// Rows that are no products, but what others take from.
    pub(crate) parents: Option<Parents>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cells {
    pub(crate) column: String,
    pub(crate) holds: Vec<String>,
}

impl Cells {
    /// Whether the row's cell, or an item of it between commas, is one of them.
    pub(crate) fn are_in(&self, row: &Row) -> bool {
        let Some(cell) = row.get(&self.column) else { return false };
        cell.split(',').any(|item| self.holds.iter().any(|held| folded(held) == folded(item)))
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parents {
    /// Which rows are parents.
    pub(crate) are: Cells,
    /// What their children call them, each of these.
    pub(crate) called: Vec<Template>,
    /// The column in which a child calls its parent.
    pub(crate) by: String,
}

/// Where a value comes from: the first of the columns that is not blank, or the default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "FieldForm")]
pub(crate) struct Field {
    pub(crate) from: Vec<Template>,
    pub(crate) default: Option<String>,
    pub(crate) html: bool,
    /// Line ends are written as a backslash and an n.
    pub(crate) escaped: bool,
}

/// The ways to write a field: `Title`, `[Title, Name]`, `{ from: [Title], default: x, html: true }`.
#[derive(Deserialize)]
#[serde(untagged)]
enum FieldForm {
    Of(OneOrMany),
    Full(FullField),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FullField {
    #[serde(default)]
    from: OneOrMany,
    #[serde(default)]
    default: Option<String>,
    #[serde(default)]
    html: bool,
    #[serde(default)]
    escaped: bool,
}

/// One template, or a list of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    One(Template),
    Many(Vec<Template>),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl OneOrMany {
    pub(crate) fn as_slice(&self) -> &[Template] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl From<FieldForm> for Field {
    fn from(form: FieldForm) -> Self {
        match form {
            FieldForm::Of(from) => Self { from: from.as_slice().to_vec(), ..Self::default() },
            FieldForm::Full(FullField { from, default, html, escaped }) => {
                Self { from: from.as_slice().to_vec(), default, html, escaped }
            }
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Category {
    #[serde(default)]
    pub(crate) from: OneOrMany,
    #[serde(default)]
    pub(crate) default: Option<String>,
    /// What divides the levels of a category.
    #[serde(default = "slash")]
    pub(crate) levels: String,
    /// What divides several categories in one cell: the deepest is taken, the first of equals.
    #[serde(default)]
    pub(crate) list: Option<String>,
    #[serde(default)]
    pub(crate) html: bool,
}

fn slash() -> String {
    "/".to_owned()
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Price {
    pub(crate) from: OneOrMany,
    /// The column of its currency; a `*` stands for what it stands for in the price's column.
    #[serde(default)]
    pub(crate) currency: Vec<Template>,
    #[serde(default)]
    pub(crate) unit: Unit,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unit {
    #[default]
    Decimal,
    Minor,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tags {
    pub(crate) from: OneOrMany,
    pub(crate) separator: String,
    pub(crate) html: bool,
    /// Tags that every product gets.
    pub(crate) always: Vec<String>,
}

impl Default for Tags {
    fn default() -> Self {
        Self { from: OneOrMany::default(), separator: ",".to_owned(), html: false, always: Vec::new() }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Status {
    pub(crate) from: OneOrMany,
    /// Cells that mean on sale, and cells that mean not yet.
    pub(crate) listed: Vec<String>,
    pub(crate) draft: Vec<String>,
    /// If there is no cell: `listed` or `draft`.
    pub(crate) default: Option<String>,
}

/// Columns that become attributes.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Attribute {
    /// A column (pattern); the attribute is called as what `*` stands for, or as the column.
    Column(Pattern),
    /// A column with a name of its own.
    Named(NamedAttribute),
    /// Two columns: one holds the name, the other the value.
    Pair(PairAttribute),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedAttribute {
    pub(crate) column: String,
    pub(crate) name: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PairAttribute {
    pub(crate) names: Pattern,
    pub(crate) values: Pattern,
    #[serde(default)]
    pub(crate) html: bool,
}

/// The maps that are built in, in the order in which they are tried.
const PRESETS: [(&str, &str); 5] = [
    ("shopify", include_str!("presets/shopify.yaml")),
    ("woocommerce", include_str!("presets/woocommerce.yaml")),
    ("saleor", include_str!("presets/saleor.yaml")),
    ("diamonds", include_str!("presets/diamonds.yaml")),
    ("plain", include_str!("presets/plain.yaml")),
];

impl Map {
    /// The names of the presets.
    pub fn presets() -> impl Iterator<Item = &'static str> {
        PRESETS.iter().map(|(name, _)| *name)
    }

    /// The preset called `name`.
    ///
    /// # Errors
    /// If there is none.
    pub fn preset(name: &str) -> anyhow::Result<Self> {
        let Some((_, yaml)) = PRESETS.iter().find(|(known, _)| *known == name) else {
            bail!(
                "there is no preset {name}: the presets are {}",
                Self::presets().collect::<Vec<_>>().join(", ")
            );
        };
        Self::parse(yaml).with_context(|| format!("reading the preset {name}"))
    }

    /// Reads a map from a file.
    ///
    /// # Errors
    /// If it cannot be read, or is no map.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let yaml =
            std::fs::read_to_string(path).with_context(|| format!("reading the map {}", path.display()))?;
        Self::parse(&yaml)
            .with_context(|| format!("reading the map {} (docs/import.md describes maps)", path.display()))
    }

    /// Reads a map.
    ///
    /// # Errors
    /// If it is none: what and where.
    pub fn parse(yaml: &str) -> anyhow::Result<Self> {
        let map: Self = serde_yaml_ng::from_str(yaml)?;
        if let Some(mark) = map.decimal.filter(|mark| !matches!(mark, '.' | ',')) {
            bail!("decimal is '.' or ',', not {mark:?}");
        }
        let divides = |it: char| it == '\t' || (it.is_ascii_graphic() && it != '"');
        if let Some(separator) = map.separator.filter(|separator| !divides(*separator)) {
            bail!(
                "separator is one ASCII character that can be seen, or a tab, and no quote; not {separator:?}"
            );
        }
        if let Some(status) =
            map.status.default.as_ref().filter(|it| !["listed", "draft"].contains(&it.as_str()))
        {
            bail!("status.default is listed or draft, not {status}");
        }
        if map.category.levels.trim().is_empty() {
            bail!("category.levels must show something: blanks around it do not count");
        }
        if map.tags.separator.is_empty() || map.category.list.as_ref().is_some_and(String::is_empty) {
            bail!("tags.separator and category.list must not be empty");
        }
        Ok(map)
    }

    /// The preset whose columns these are.
    pub fn recognised(columns: &Columns) -> Option<(&'static str, Self)> {
        let has = |name: &String| !columns.places(name).is_empty();
        for (name, yaml) in PRESETS {
            let map = Self::parse(yaml).ok()?;
            if map.recognise.iter().any(|all| all.iter().all(has)) {
                return Some((name, map));
            }
        }
        None
    }

    /// Whether it makes texts of the numbers of rows.
    pub(crate) fn numbers_rows(&self) -> bool {
        let fields = [&self.product_id, &self.sku, &self.name, &self.description, &self.brand];
        let mut templates = fields.into_iter().flat_map(|field| &field.from);
        templates.any(Template::has_number)
            || [&self.category.from, &self.tags.from]
                .iter()
                .any(|from| from.as_slice().iter().any(Template::has_number))
    }

    /// The columns that this map does not know.
    pub(crate) fn unknown<'a>(&self, columns: &'a Columns) -> Vec<&'a str> {
        let names = columns.names().iter().map(String::as_str).filter(|name| !name.is_empty());
        names.filter(|name| !self.knows(name)).collect()
    }

    fn knows(&self, name: &str) -> bool {
        let named = |columns: &[String]| columns.iter().any(|it| folded(it) == folded(name));
        let fields = [&self.product_id, &self.sku, &self.name, &self.description, &self.brand];
        let templates = fields.into_iter().flat_map(|field| &field.from);
        let templates = templates
            .chain(self.category.from.as_slice())
            .chain(self.price.from.as_slice())
            .chain(&self.price.currency)
            .chain(self.tags.from.as_slice())
            .chain(self.status.from.as_slice());
        let rules = self.rules_columns();
        let mut templates = templates;
        templates.any(|template| template.names(name))
            || named(&rules)
            || self.ignore.iter().any(|pattern| pattern.matches(name).is_some())
            || super::rejected::ADDED.iter().any(|added| folded(added) == folded(name))
            || self.attributes.iter().any(|attribute| match attribute {
                Attribute::Column(pattern) => pattern.matches(name).is_some(),
                Attribute::Named(named) => folded(&named.column) == folded(name),
                Attribute::Pair(pair) => {
                    pair.names.matches(name).is_some() || pair.values.matches(name).is_some()
                }
            })
    }

    fn rules_columns(&self) -> Vec<String> {
        let rules = &self.rows;
        let mut columns = rules.group_by.clone();
        columns.extend(rules.product_has.iter().cloned());
        columns.extend(rules.skip.iter().map(|cells| cells.column.clone()));
        columns.extend(rules.parents.iter().flat_map(|it| [it.are.column.clone(), it.by.clone()]));
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_a_map_and_knows_itself() {
        for name in Map::presets() {
            let map = Map::preset(name).unwrap_or_else(|error| panic!("{name}: {error:#}"));
            for columns in &map.recognise {
                let (found, _) = Map::recognised(&Columns::new(columns)).unwrap();
                assert_eq!(found, name);
            }
        }
        assert!(Map::preset("magento").unwrap_err().to_string().contains("shopify, woocommerce"));
    }

    #[test]
    fn the_map_in_the_documents_is_one() {
        let page = include_str!("../../../../docs/import.md");
        let (_, map) = page.split_once("```yaml\n").unwrap();
        let map = Map::parse(map.split_once("```").unwrap().0).unwrap();
        assert_eq!(map.attributes.len(), 4);
        for name in Map::presets() {
            assert!(page.contains(&format!("| `{name}` |")), "docs/import.md does not list {name}");
        }
    }

    #[test]
    fn a_wrong_key_is_named() {
        for (yaml, why) in [
            ("product_id: a", "missing field"),
            ("product_id: a\nskuu: b", "skuu"),
            ("- a", "invalid type"),
            ("product_id: [", "line"),
        ] {
            let error = format!("{:#}", Map::parse(yaml).unwrap_err());
            assert!(error.contains(why) || error.contains("line"), "{error}");
        }
        let small = "product_id: id\nsku: id\nname: n\nbrand: b\ncategory: {from: c}\nprice: {from: p}\n";
        assert!(Map::parse(small).is_ok());
        for (more, why) in [
            ("decimal: '-'\n", "decimal"),
            ("separator: 'ö'\n", "separator"),
            ("separator: '\"'\n", "no quote"),
            ("separator: \"\\n\"\n", "separator"),
            ("separator: \"\\r\"\n", "separator"),
            ("separator: ' '\n", "separator"),
            ("status: {default: gone}\n", "status.default"),
        ] {
            let error = format!("{:#}", Map::parse(&format!("{small}{more}")).unwrap_err());
            assert!(error.contains(why), "{error}");
        }
        for (divided, why) in [("levels: ' '", "levels"), ("list: ''", "list")] {
            let yaml = small.replace("category: {from: c}", &format!("category: {{from: c, {divided}}}"));
            assert!(Map::parse(&yaml).unwrap_err().to_string().contains(why), "{divided}");
        }
        assert!(Map::parse(&format!("{small}separator: \"\\t\"\n")).is_ok());
    }
}
