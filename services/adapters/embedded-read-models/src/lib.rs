//! The read models on local disk, in this process: tables by fjall, search by tantivy.
