//! A command as it arrives, and what is wrong with one that cannot be taken: every fault at once, each with its place.

use std::fmt;

use domain::{Command, ProductId, Tags, ValueError, Version};
use serde::Serialize;

use crate::IdempotencyKey;
use crate::code::Code;

/// The most tags that are looked at: a tag that is sent twice counts once, so that a list may be longer than a product's
/// tags, but not by any length.
pub const MAX_TAGS_SENT: usize = 16 * Tags::MAX;

/// A command with what stands beside it in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressedCommand {
    /// The product it is for. Only `CreateProduct` may leave it out; the id is then made of the idempotency key.
    pub product_id: Option<ProductId>,
    /// The command itself.
    pub command: Command,
    /// The version the product must have; 0 means that it must not exist.
    pub expected_version: Option<Version>,
    /// Makes a repetition of the request recognisable.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// What kind of fault a field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not the form that was asked for: not JSON, a wrong type, an unknown or missing field.
    Form,
    /// The form is right, the value is not allowed.
    Value,
}

/// One fault of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where: a JSON pointer (RFC 6901) into the body, empty for the whole of it.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub detail: String,
    /// What kind of fault it is.
    #[serde(skip)]
    pub fault: Fault,
}

impl FieldError {
    /// The place as protobuf clients write it: `create_product.price.currency`. A part that is no plain name, as the name
    /// of an attribute may be, stands between backquotes: ``create_product.attributes.`Ring size` ``.
    pub fn field_path(&self) -> String {
        let parts = self.pointer.split('/').skip(1).map(|part| {
            let part = part.replace("~1", "/").replace("~0", "~");
            let is_plain = !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if is_plain { part } else { format!("`{part}`") }
        });
        parts.collect::<Vec<_>>().join(".")
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() {
            return f.write_str(&self.detail);
        }
        write!(f, "{} {}", self.pointer, self.detail)
    }
}

/// The faults of a request, in the order of its fields; never empty. At most [`FieldErrors::MAX`] are told one by one, and
/// a last entry says how many more there are: a hostile body must not have an answer many times its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldErrors {
    told: Vec<FieldError>,
    total: usize,
}

impl FieldErrors {
    /// The most faults that are told one by one.
    pub const MAX: usize = 32;

    /// The one fault of a request as a whole.
    pub(crate) fn of_whole(detail: impl Into<String>) -> Self {
        let whole = FieldError { pointer: String::new(), detail: detail.into(), fault: Fault::Form };
        Self { told: vec![whole], total: 1 }
    }

    /// How many faults there are, told one by one or not.
    pub fn total(&self) -> usize {
        self.total
    }

    /// The code to answer with: the form comes before the values.
    pub fn code(&self) -> Code {
        if self.told.iter().any(|error| error.fault == Fault::Form) {
            Code::MalformedRequest
        } else {
            Code::InvalidValue
        }
    }

    /// The faults.
    pub fn as_slice(&self) -> &[FieldError] {
        &self.told
    }

    /// The faults, to keep.
    pub fn into_vec(self) -> Vec<FieldError> {
        self.told
    }
}

impl fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.told.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for FieldErrors {}

/// Where in a request the reading is. Costs nothing until there is a fault to report.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    name: &'a str,
}

impl<'a> Path<'a> {
    pub(crate) const ROOT: Path<'static> = Path { parent: None, name: "" };

    pub(crate) fn at<'b>(&'b self, name: &'b str) -> Path<'b>
    where
        'a: 'b,
    {
        Path { parent: Some(self), name }
    }

    fn write(&self, pointer: &mut String) {
        let Some(parent) = self.parent else { return };
        parent.write(pointer);
        pointer.push('/');
        // The pointer comes from the client: what it repeats is bounded.
        for c in self.name.chars().take(100) {
            match c {
                '~' => pointer.push_str("~0"),
                '/' => pointer.push_str("~1"),
                c => pointer.push(c),
            }
        }
    }
}

/// Collects faults.
#[derive(Default)]
pub(crate) struct Faults {
    told: Vec<FieldError>,
    /// Those that are only counted, and whether the form was at fault in one of them.
    more: usize,
    more_of_form: bool,
}

impl Faults {
    pub(crate) fn form(&mut self, path: &Path<'_>, detail: impl Into<String>) {
        self.push(path, detail, Fault::Form);
    }

    pub(crate) fn value(&mut self, path: &Path<'_>, detail: impl Into<String>) {
        self.push(path, detail, Fault::Value);
    }

    /// Keeps the value, or notes why there is none.
    pub(crate) fn keep<T>(&mut self, path: &Path<'_>, result: Result<T, ValueError>) -> Option<T> {
        result.map_err(|error| self.value(path, error.problem)).ok()
    }

    /// How many faults there are so far.
    pub(crate) fn count(&self) -> usize {
        self.told.len() + self.more
    }

    fn push(&mut self, path: &Path<'_>, detail: impl Into<String>, fault: Fault) {
        if self.told.len() < FieldErrors::MAX {
            let mut pointer = String::new();
            path.write(&mut pointer);
            self.told.push(FieldError { pointer, detail: detail.into(), fault });
        } else {
            self.more += 1;
            self.more_of_form |= fault == Fault::Form;
        }
    }

    /// The value, if there was no fault.
    pub(crate) fn into_result<T>(self, value: Option<T>) -> Result<T, FieldErrors> {
        let total = self.count();
        match value {
            Some(value) if total == 0 => Ok(value),
            Some(_) | None if total == 0 => Err(FieldErrors::of_whole("the request has no value")),
            Some(_) | None => Err(self.into_errors(total)),
        }
    }

    fn into_errors(mut self, total: usize) -> FieldErrors {
        if self.more > 0 {
            let detail = format!("has {} more faults that are not told one by one", self.more);
            let fault = if self.more_of_form { Fault::Form } else { Fault::Value };
            self.told.push(FieldError { pointer: String::new(), detail, fault });
        }
        FieldErrors { told: self.told, total }
    }
}
