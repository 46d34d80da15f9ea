//! All of Folio in one process, on local disk.
