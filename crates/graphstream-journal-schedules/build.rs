//! Locks, threads and time come from the scheduler: a `cfg`, because a feature would reach the journal of everybody else in the
//! same build.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cfg=shuttle");
}
