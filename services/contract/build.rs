//! Compiles `schemas/proto` with protox: no protoc is needed.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message as _;

const FILES: [&str; 3] = ["catalog/v1/product.proto", "catalog/v1/command.proto", "catalog/v1/query.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("../../schemas/proto");
    for file in FILES {
        println!("cargo::rerun-if-changed={}", root.join(file).display());
    }
    let descriptors = protox::compile(FILES, [root])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("catalog.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().btree_map(".").compile_fds(descriptors)?;
    Ok(())
}
