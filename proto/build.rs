//! Compiles the contract without an installed protoc: protox reads the protos, tonic and prost make the Rust types,
//! protovalidate's generator makes the checks of the fields.
use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=frontdesk");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut files = Vec::new();
    for package in fs::read_dir("frontdesk")? {
        for file in fs::read_dir(package?.path().join("v1"))? {
            files.push(file?.path());
        }
    }
    files.sort();

    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true).open_files(files)?;
    // The encoded form keeps the custom options (access, field rules) that the typed one drops.
    let descriptors = out.join("descriptors.binpb");
    fs::write(&descriptors, compiler.encode_file_descriptor_set())?;

    let mut names = prost_build::Config::new();
    names.enable_type_names();
    tonic_prost_build::configure()
        .btree_map(".")
        .extern_path(".buf.validate", "::prost_protovalidate_types")
        .compile_fds_with_config(compiler.file_descriptor_set(), names)?;
    prost_protovalidate_build::Builder::new()
        .file_descriptor_set_path(&descriptors)?
        .fail_on_runtime_only(true)
        .compile()?;
    Ok(())
}
