//! Stands in for the crate prost-build 0.13, which the predecessor's build script calls and which needs `protoc` on the machine: the
//! messages are generated from the same published `.proto` by its successor, with a protobuf compiler written in Rust.

use std::path::Path;

/// What the predecessor's build script calls.
pub fn compile_protos(files: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> std::io::Result<()> {
    let descriptors = protox::compile(files, includes).map_err(std::io::Error::other)?;
    generator::Config::new().compile_fds(descriptors)
}
