//! A command as it arrives, and what is wrong with one that cannot be taken: every fault at once, each with its place.

use std::fmt;

use domain::{Command, ProductId, ValueError, Version};
use serde::Serialize;

use crate::IdempotencyKey;
use crate::code::Code;

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
    /// The place as protobuf clients write it: `create_product.price.currency`.
    pub fn field_path(&self) -> String {
        self.pointer.trim_start_matches('/').replace('/', ".")
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

/// Every fault of a request, in the order of its fields; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// The one fault of a request as a whole.
    pub(crate) fn of_whole(detail: impl Into<String>) -> Self {
        Self(vec![FieldError { pointer: String::new(), detail: detail.into(), fault: Fault::Form }])
    }

    /// The code to answer with: the form comes before the values.
    pub fn code(&self) -> Code {
        if self.0.iter().any(|error| error.fault == Fault::Form) {
            Code::MalformedRequest
        } else {
            Code::InvalidValue
        }
    }

    /// The faults.
    pub fn as_slice(&self) -> &[FieldError] {
        &self.0
    }

    /// The faults, to keep.
    pub fn into_vec(self) -> Vec<FieldError> {
        self.0
    }
}

impl fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
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
pub(crate) struct Faults(Vec<FieldError>);

impl Faults {
    /// The most faults that are reported; a hostile body has no more effect than that.
    const MOST: usize = 100;

    pub(crate) fn form(&mut self, path: &Path<'_>, detail: impl Into<String>) {
        self.push(path, detail.into(), Fault::Form);
    }

    pub(crate) fn value(&mut self, path: &Path<'_>, detail: impl Into<String>) {
        self.push(path, detail.into(), Fault::Value);
    }

    /// Keeps the value, or notes why there is none.
    pub(crate) fn keep<T>(&mut self, path: &Path<'_>, result: Result<T, ValueError>) -> Option<T> {
        result.map_err(|error| self.value(path, error.problem)).ok()
    }

    /// How many faults there are so far.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    fn push(&mut self, path: &Path<'_>, detail: String, fault: Fault) {
        if self.0.len() < Self::MOST {
            let mut pointer = String::new();
            path.write(&mut pointer);
            self.0.push(FieldError { pointer, detail, fault });
        }
    }

    /// The value, if there was no fault.
    pub(crate) fn into_result<T>(self, value: Option<T>) -> Result<T, FieldErrors> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            Some(_) | None if self.0.is_empty() => Err(FieldErrors::of_whole("the request has no value")),
            Some(_) | None => Err(FieldErrors(self.0)),
        }
    }
}
