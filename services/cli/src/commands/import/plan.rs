//! What an import will do, from the command line and the file's own first rows.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use domain::Currency;

use crate::DoorTls;
use crate::import::{Catalog, DecimalMark, Format, Map, Requested, Shape, Source};

/// What the command line says about an import.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Options {
    /// A CSV or NDJSON file, perhaps packed with gzip. Without one, `--preset diamonds` imports the sample catalog.
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// What the columns mean: a YAML file, described in docs/import.md.
    #[arg(long, value_name = "FILE", conflicts_with = "preset")]
    pub map: Option<PathBuf>,
    /// Whose export it is: shopify, woocommerce, saleor, plain or diamonds. Told by the columns if not given.
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Tell every row's problems, with line and column, and do nothing else.
    #[arg(long)]
    pub dry_run: bool,
    /// The currency of prices that name none, such as EUR.
    #[arg(long, value_name = "CODE")]
    pub currency: Option<String>,
    /// The decimal mark of prices, `.` or `,`, where a price such as 1,299 can be read in two ways.
    #[arg(long, value_name = "MARK")]
    pub decimal: Option<String>,
    /// What stands between cells, one character or `tab`. Told by the first line if not given.
    #[arg(long, value_name = "CHARACTER")]
    pub separator: Option<String>,
    /// Change products that exist to what the file says. Without it they are left out, if the file says something new.
    #[arg(long)]
    pub update: bool,
    /// Go on where an import of this file stopped.
    #[arg(long)]
    pub resume: bool,
    /// Import only the first N products.
    #[arg(long, value_name = "N")]
    pub first: Option<usize>,
    /// Stop when nothing was answered for so many seconds [default: 180].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub give_up_after: Option<u64>,
    #[command(flatten)]
    pub tls: DoorTls,
}

impl Options {
    /// How long nothing may be answered.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs(self.give_up_after.unwrap_or(180))
    }
}

/// An import, understood.
#[derive(Debug)]
pub struct Plan {
    pub(super) options: Options,
    pub(super) catalog: Catalog,
    /// How the columns were understood, for people.
    pub(super) understood: String,
}

impl Plan {
    /// Tells this import from one of another content, or one that reads it otherwise.
    pub(super) fn fingerprint(&self) -> String {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hash = DefaultHasher::new();
        let Catalog { shape, requested, .. } = &self.catalog;
        (format!("{shape:?} {requested:?}"), self.options.update, self.options.first).hash(&mut hash);
        format!("{:016x}-{:016x}", self.catalog.fingerprint(), hash.finish())
    }
}

/// Understands an import.
///
/// # Errors
/// If the command line or the file makes no sense: what to say instead.
pub(super) fn plan(options: Options) -> anyhow::Result<Plan> {
    let source = match (&options.file, options.preset.as_deref()) {
        (Some(file), _) => Source::File(file.clone()),
        (None, Some("diamonds")) => Source::Sample,
        (None, _) => bail!(
            "give a file to import: folio import products.csv (or --preset diamonds for the sample catalog)"
        ),
    };
    let requested = Requested {
        currency: options.currency.as_deref().map(currency).transpose()?,
        decimal: options
            .decimal
            .as_deref()
            .map(DecimalMark::parse)
            .transpose()
            .map_err(anyhow::Error::msg)?,
    };
    let format = match (source.format()?, options.separator.as_deref()) {
        (Format::Csv(_), Some(separator)) => Format::Csv(Some(character(separator)?)),
        (format, _) => format,
    };
    let (shape, understood) = shape(&options, &source, format)?;
    let catalog = Catalog::open(source, format, shape, requested)?;
    if catalog.is_empty() {
        bail!("{} has no rows: there is nothing to import", catalog.source.name());
    }
    Ok(Plan { options, catalog, understood })
}

fn currency(code: &str) -> anyhow::Result<Currency> {
    Currency::parse(&code.to_uppercase()).with_context(|| format!("--currency {code}"))
}

fn character(separator: &str) -> anyhow::Result<u8> {
    match separator.as_bytes() {
        b"tab" | b"\\t" | b"\t" => Ok(b'\t'),
        [one] if one.is_ascii_graphic() && *one != b'"' => Ok(*one),
        _ => bail!("--separator is one character, such as ; or the word tab, not {separator:?}"),
    }
}

fn shape(options: &Options, source: &Source, format: Format) -> anyhow::Result<(Shape, String)> {
    let mapped = |map: Map| Shape::Mapped(Box::new(map));
    if let Some(path) = &options.map {
        return Ok((mapped(Map::read(path)?), format!("as the map {} says", path.display())));
    }
    if let Some(name) = &options.preset {
        return Ok((mapped(Map::preset(name)?), format!("as an export of {name}")));
    }
    if format == Format::Ndjson {
        return Ok((Shape::Own, "as bodies of POST /v1/products".to_owned()));
    }
    let rows = crate::import::rows(source, format)?;
    match Map::recognised(rows.columns()) {
        Some((name, map)) => Ok((mapped(map), format!("as an export of {name}, told by its columns"))),
        None => bail!(
            "{} has columns of no export that is known ({}): say what they mean with --map, described in docs/import.md, or \
             whose export it is with --preset ({})",
            source.name(),
            crate::import::some(rows.columns().names()),
            Map::presets().collect::<Vec<_>>().join(", ")
        ),
    }
}
