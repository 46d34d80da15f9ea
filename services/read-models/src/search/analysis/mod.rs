//! The one analysis of texts: the projector runs it on documents, the gateway on questions.
//!
//! Promises: pure, so that every engine that compares terms as they are gives the same answers; what a document says is found
//! by the same words however they are written (case, accents, full-width letters, hyphens, singular and plural); a token with
//! a digit in it is only found as it is, in any case, or by its parts.
//!
//! A text is split into words ([`split`]); each word has forms ([`fold`]): itself, what it is without its marks, and what it may be the plural of
//! ([`forms`]). A word of several parts ("Wi-Fi", "iPhone15", "DIA-53000") is found as a whole, by
//! its parts, by two of them side by side, and by what stands between its joints; two words of a short text are also found as one, and one as two.

mod document;
mod fold;
mod forms;
mod number;
mod plural;
mod question;
mod split;
#[cfg(test)]
mod tests;

pub(super) use document::Terms;
pub(super) use fold::{compared, sorted};
pub(super) use question::{Question, Word};
pub(super) use split::count;

/// No term is longer than this; a longer word is found by its beginning. (The engine would split it at 255.)
const MAX_LEN: usize = 100;
