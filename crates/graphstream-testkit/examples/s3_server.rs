//! The S3 server of the tests in a process of its own: `s3_server [honest|racing|ignoring]`. Prints its address and runs until its
//! stdin ends. Key id, secret and bucket are those of `graphstream_testkit::s3`.

use std::io;

use graphstream_testkit::s3::{Conduct, serve};

fn main() -> io::Result<()> {
    let conduct = match std::env::args().nth(1).as_deref() {
        None | Some("honest") => Conduct::Honest,
        Some("racing") => Conduct::Racing,
        Some("ignoring") => Conduct::Ignoring,
        Some(other) => {
            return Err(io::Error::other(format!("{other}: expected honest, racing or ignoring")));
        }
    };
    serve(conduct)
}
