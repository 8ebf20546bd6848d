//! The graphstream command line.
fn main() {}
