//! The commands' fields as they are written: what [`super::parse_command`] reads, and what the OpenAPI document shows.

use domain::{Attributes, Command, CreateProduct, DetailChanges, Tags, Version};
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AnyOfBuilder, Ref, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::as_json::{attributes, tags};
use super::schemas;
use super::views::MoneyView;
use crate::IdempotencyKey;
use crate::fields::AddressedCommand;

/// A command's fields, whichever command it is.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum CommandPayload<'a> {
    /// Of `create_product`.
    Create(CreateProductPayload<'a>),
    /// Of `revise_details`.
    Revise(ReviseDetailsPayload<'a>),
    /// Of `change_price`.
    Price(ChangePricePayload),
    /// Of `move_to_category`.
    Category(MoveToCategoryPayload<'a>),
    /// Of `discontinue_product` and `delete_product`.
    Reason(ReasonPayload<'a>),
    /// Of `list_product` and `restore_product`.
    Nothing(NothingPayload),
}

/// A new product.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateProduct)]
pub struct CreateProductPayload<'a> {
    #[schema(schema_with = schemas::sku)]
    sku: &'a str,
    #[schema(schema_with = schemas::name)]
    name: &'a str,
    #[schema(schema_with = schemas::description, required = false)]
    description: &'a str,
    #[schema(schema_with = schemas::category)]
    category: &'a str,
    #[schema(schema_with = schemas::brand)]
    brand: &'a str,
    price: MoneyView,
    #[serde(with = "attributes")]
    #[schema(schema_with = schemas::attributes, required = false)]
    attributes: &'a Attributes,
    #[serde(with = "tags")]
    #[schema(schema_with = schemas::tags, required = false)]
    tags: &'a Tags,
    #[schema(schema_with = schemas::initial_status, required = false)]
    status: &'a str,
}

/// At least one field; what is left out stays as it is, what is there is replaced as a whole.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReviseDetails, min_properties = 1)]
pub struct ReviseDetailsPayload<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::sku, required = false)]
    sku: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::name, required = false)]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::description, required = false)]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::brand, required = false)]
    brand: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::attributes, required = false)]
    attributes: Option<AttributesField<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::tags, required = false)]
    tags: Option<TagsField<'a>>,
}

#[derive(Debug, Clone, Serialize)]
struct AttributesField<'a>(#[serde(with = "attributes")] &'a Attributes);

#[derive(Debug, Clone, Serialize)]
struct TagsField<'a>(#[serde(with = "tags")] &'a Tags);

/// Another price, in the same currency.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChangePrice)]
pub struct ChangePricePayload {
    price: MoneyView,
}

/// Another category.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MoveToCategory)]
pub struct MoveToCategoryPayload<'a> {
    #[schema(schema_with = schemas::category)]
    category: &'a str,
}

/// Why, if that is said.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Reason)]
pub struct ReasonPayload<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::reason, required = false)]
    reason: Option<&'a str>,
}

/// Nothing: the command has no fields.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Nothing)]
pub struct NothingPayload {}

impl<'a> From<&'a Command> for CommandPayload<'a> {
    fn from(command: &'a Command) -> Self {
        match command {
            Command::CreateProduct(CreateProduct {
                sku,
                name,
                description,
                category,
                brand,
                price,
                attributes,
                tags,
                status,
            }) => Self::Create(CreateProductPayload {
                sku: sku.as_str(),
                name: name.as_str(),
                description: description.as_str(),
                category: category.as_str(),
                brand: brand.as_str(),
                price: MoneyView(*price),
                attributes,
                tags,
                status: status.as_str(),
            }),
            Command::ReviseDetails(revise) => {
                let DetailChanges { sku, name, description, brand, attributes, tags } = revise.changes();
                Self::Revise(ReviseDetailsPayload {
                    sku: sku.as_ref().map(AsRef::as_ref),
                    name: name.as_ref().map(AsRef::as_ref),
                    description: description.as_ref().map(AsRef::as_ref),
                    brand: brand.as_ref().map(AsRef::as_ref),
                    attributes: attributes.as_ref().map(AttributesField),
                    tags: tags.as_ref().map(TagsField),
                })
            }
            Command::ChangePrice(change) => {
                Self::Price(ChangePricePayload { price: MoneyView(change.price) })
            }
            Command::MoveToCategory(to) => {
                Self::Category(MoveToCategoryPayload { category: to.category.as_str() })
            }
            Command::DiscontinueProduct(discontinue) => {
                Self::Reason(ReasonPayload { reason: discontinue.reason.as_ref().map(AsRef::as_ref) })
            }
            Command::DeleteProduct(delete) => {
                Self::Reason(ReasonPayload { reason: delete.reason.as_ref().map(AsRef::as_ref) })
            }
            Command::ListProduct | Command::RestoreProduct => Self::Nothing(NothingPayload {}),
        }
    }
}

/// Any of them: which one, the command's name says beside it.
impl PartialSchema for CommandPayload<'_> {
    fn schema() -> RefOr<Schema> {
        let mut named = Vec::new();
        Self::schemas(&mut named);
        let payloads = named.iter().filter(|(name, _)| *name != MoneyView::name());
        let any = payloads.fold(AnyOfBuilder::new(), |any, (name, _)| any.item(Ref::from_schema_name(name)));
        any.description(Some("The command's fields; none, if the command has none.")).into()
    }
}

impl ToSchema for CommandPayload<'_> {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        fn add<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
            schemas.push((T::name().into_owned(), T::schema()));
        }
        add::<CreateProductPayload<'_>>(schemas);
        add::<ReviseDetailsPayload<'_>>(schemas);
        add::<ChangePricePayload>(schemas);
        add::<MoveToCategoryPayload<'_>>(schemas);
        add::<ReasonPayload<'_>>(schemas);
        add::<NothingPayload>(schemas);
        add::<MoneyView>(schemas);
    }
}

impl CommandPayload<'_> {
    /// What the fields of the command called `name` are; `None` if there is no such command.
    pub fn schema_of(name: &str) -> Option<RefOr<Schema>> {
        Some(match name {
            "create_product" => CreateProductPayload::schema(),
            "revise_details" => ReviseDetailsPayload::schema(),
            "change_price" => ChangePricePayload::schema(),
            "move_to_category" => MoveToCategoryPayload::schema(),
            "discontinue_product" | "delete_product" => ReasonPayload::schema(),
            "list_product" | "restore_product" => NothingPayload::schema(),
            _ => return None,
        })
    }
}

/// A line of a bulk request.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkLine<'a> {
    #[schema(schema_with = command_name)]
    command: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::product_id, required = false)]
    product_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::idempotency_key, required = false)]
    idempotency_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = expected_version, required = false)]
    expected_version: Option<u64>,
    #[schema(required = false)]
    payload: CommandPayload<'a>,
}

impl<'a> From<&'a AddressedCommand> for BulkLine<'a> {
    fn from(addressed: &'a AddressedCommand) -> Self {
        Self {
            command: addressed.command.name(),
            product_id: addressed.product_id.as_ref().map(AsRef::as_ref),
            idempotency_key: addressed.idempotency_key.as_ref().map(IdempotencyKey::as_str),
            expected_version: addressed.expected_version.map(Version::get),
            payload: CommandPayload::from(&addressed.command),
        }
    }
}

fn command_name() -> utoipa::openapi::schema::Object {
    schemas::one_of(Command::ALL_NAMES, "What to do.")
}

/// The version a request may name beside its command.
pub fn expected_version() -> utoipa::openapi::schema::Object {
    schemas::version(0, "The version the product must have; 0: it must not exist. Left out: any.")
}

/// The command's fields as JSON: what [`super::parse_command`] reads.
pub fn command_payload(command: &Command) -> Value {
    // Writing plain data into a tree does not fail.
    serde_json::to_value(CommandPayload::from(command)).unwrap_or_default()
}

/// Writes what [`super::parse_bulk_line`] reads, on one line.
pub fn bulk_line(addressed: &AddressedCommand) -> String {
    serde_json::to_string(&BulkLine::from(addressed)).unwrap_or_default()
}
