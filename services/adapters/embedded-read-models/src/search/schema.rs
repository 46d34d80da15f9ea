//! The fields of the index, and a product as its document.
//!
//! Promise: texts are in the index as `read_models::search` made terms of them, compared as they are.

use read_models::search::{Field, Keys, ProductDocument};
use read_models::{Error, StoredProduct};
use tantivy::schema::{
    FAST, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions, Value,
};
use tantivy::tokenizer::RAW_TOKENIZER_NAME;
use tantivy::{TantivyDocument, Term};

/// Names of fields that no question filters by as a text.
pub(super) const PRODUCT_ID: &str = "product_id";
pub(super) const VERSION: &str = "version";
pub(super) const PRICE: &str = "price_minor";
pub(super) const UPDATED_AT: &str = "updated_at";

type Id = tantivy::schema::Field;

/// The fields of the index.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    pub(super) product_id: Id,
    pub(super) price: Id,
    version: Id,
    updated_at: Id,
    /// All of the product.
    document: Id,
    /// In the order of [`Field::ALL`].
    found_by: [Id; Field::ALL.len()],
}

/// The schema of an index of this version of Folio.
pub(super) fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let fields = Fields {
        product_id: schema.add_text_field(PRODUCT_ID, STRING.set_fast(RAW_TOKENIZER_NAME)),
        price: schema.add_i64_field(PRICE, FAST),
        version: schema.add_u64_field(VERSION, FAST),
        updated_at: schema.add_i64_field(UPDATED_AT, FAST),
        document: schema.add_bytes_field("document", STORED),
        found_by: Field::ALL.map(|field| schema.add_text_field(field.name(), options(field))),
    };
    (schema.build(), fields)
}

fn options(field: Field) -> TextOptions {
    let (tokenizer, is_fast) = match field {
        Field::Categories
        | Field::Brand
        | Field::Status
        | Field::Currency
        | Field::Tags
        | Field::AttributeNames
        | Field::AttributePairs
        | Field::NameKey => (RAW_TOKENIZER_NAME, true),
        Field::SkuKey => (RAW_TOKENIZER_NAME, false),
        Field::TitleTerms | Field::LabelTerms | Field::Terms => ("whitespace", false),
    };
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(tokenizer)
        .set_index_option(IndexRecordOption::Basic)
        .set_fieldnorms(field == Field::TitleTerms);
    let options = TextOptions::default().set_indexing_options(indexing);
    if is_fast { options.set_fast(RAW_TOKENIZER_NAME) } else { options }
}

impl Fields {
    pub(super) fn of(&self, field: Field) -> Id {
        self.found_by[field as usize]
    }

    /// What finds the documents with this value.
    pub(super) fn term(&self, field: Field, value: &str) -> Term {
        Term::from_field_text(self.of(field), value)
    }

    /// What finds the document of a product.
    pub(super) fn id(&self, product: &str) -> Term {
        Term::from_field_text(self.product_id, product)
    }

    pub(super) fn document(&self, stored: &StoredProduct) -> Result<TantivyDocument, Error> {
        let product = &stored.product;
        let source = serde_json::to_vec(&ProductDocument::from(stored)).map_err(|e| {
            Error::Embedded(format!("search: product {} cannot be written as JSON: {e}", product.id))
        })?;
        let keys = Keys::from(stored);
        let mut document = TantivyDocument::new();
        document.add_text(self.product_id, product.id.as_str());
        document.add_i64(self.price, product.price.minor_units() as i64);
        document.add_u64(self.version, product.version.get());
        document.add_i64(self.updated_at, stored.updated_at.as_millisecond());
        document.add_bytes(self.document, &source);
        let mut add = |field, value: &str| document.add_text(self.of(field), value);
        keys.categories.iter().for_each(|path| add(Field::Categories, path));
        add(Field::Brand, product.brand.as_str());
        add(Field::Status, product.status.as_str());
        add(Field::Currency, product.price.currency().as_str());
        product.tags.iter().for_each(|tag| add(Field::Tags, tag));
        keys.attribute_names.iter().for_each(|name| add(Field::AttributeNames, name));
        keys.attribute_pairs.iter().for_each(|pair| add(Field::AttributePairs, pair));
        add(Field::SkuKey, &keys.sku_key);
        add(Field::NameKey, &keys.name_key);
        add(Field::TitleTerms, &keys.title_terms);
        add(Field::LabelTerms, &keys.label_terms);
        add(Field::Terms, &keys.terms);
        Ok(document)
    }

    /// All of the product as it lies there. The error says why it is no text.
    pub(super) fn source<'a>(&self, document: &'a TantivyDocument) -> Result<&'a str, String> {
        let source = document.get_first(self.document).and_then(|value| value.as_bytes());
        std::str::from_utf8(source.ok_or("it is not there")?).map_err(|e| e.to_string())
    }

    /// The error says why no product is in the document, which this version of Folio cannot have written then.
    pub(super) fn product(&self, document: &TantivyDocument) -> Result<StoredProduct, String> {
        let source = document.get_first(self.document).and_then(|value| value.as_bytes()).unwrap_or_default();
        let parsed: ProductDocument<'static> = serde_json::from_slice(source).map_err(|e| e.to_string())?;
        StoredProduct::try_from(parsed).map_err(|e| e.to_string())
    }
}
