//! The second, independent S3 server of the tests: moto, in a process of its own on a free port of the loopback.
//!
//! It needs a Python with the packages of this crate's `requirements.txt`, named by `GRAPHSTREAM_TEST_PYTHON`; `cargo xtask test` makes one.
//! What it is good for and where it differs from S3 is in docs/testing.md. Signatures are not checked.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

const PYTHON: &str = "GRAPHSTREAM_TEST_PYTHON";

/// It says where it listens, and ends with its standard input: so also when the test's process is killed.
const PROGRAM: &str = "
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer('127.0.0.1', 0, verbose=False)
server.start()
host, port = server.get_host_and_port()
print(f'{host}:{port}', flush=True)
sys.stdin.read()
";

/// A running moto with one bucket. It stops when dropped.
#[derive(Debug)]
pub struct Moto {
    process: Child,
    address: SocketAddr,
}

impl Moto {
    /// Starts a server that has an empty bucket. `None` without a Python for it, which is said on standard error.
    ///
    /// # Errors
    /// The Python that is named can't run it, or it doesn't answer.
    pub fn start(bucket: &str) -> io::Result<Option<Self>> {
        let Some(python) = std::env::var_os(PYTHON) else {
            // Past the harness, which shows nothing of a test that passes.
            let notice = format!(
                "\n!!! SKIPPED: {PYTHON} isn't set, nothing ran against moto. Run `cargo xtask test`.\n"
            );
            io::stderr().write_all(notice.as_bytes())?;
            return Ok(None);
        };
        Self::start_with(&python, bucket).map(Some)
    }

    fn start_with(python: &OsString, bucket: &str) -> io::Result<Self> {
        let mut process = Command::new(python)
            .args(["-c", PROGRAM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Nobody reads its log; what went wrong at the start shows as a missing first line.
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let address = line.trim().parse();
        let address =
            address.map_err(|_| io::Error::other("moto did not start: are its packages installed?"));
        // From here on it is stopped in any case.
        let moto = match address {
            Ok(address) => Self { process, address },
            Err(error) => {
                process.kill()?;
                process.wait()?;
                return Err(error);
            }
        };
        moto.make(bucket)?;
        Ok(moto)
    }

    fn make(&self, bucket: &str) -> io::Result<()> {
        let mut stream = TcpStream::connect(self.address)?;
        let request =
            format!("PUT /{bucket} HTTP/1.0\r\nhost: {}\r\ncontent-length: 0\r\n\r\n", self.address);
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let first = answer.lines().next().unwrap_or_default();
        match first.contains(" 200 ") {
            true => Ok(()),
            false => Err(io::Error::other(format!("making the bucket: {first}"))),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It holds nothing that is worth an orderly end; what has ended already is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_its_bucket_and_ends_when_dropped() {
        let Some(moto) = Moto::start("bucket").unwrap() else { return };
        moto.make("bucket-2").unwrap();
        let address = moto.address();
        assert_eq!(moto.url(), format!("http://{address}"));
        drop(moto);
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn it_ends_when_a_test_panics() {
        let Some(moto) = Moto::start("bucket").unwrap() else { return };
        let address = moto.address();
        let test = std::thread::spawn(move || {
            let _moto = moto;
            panic!("on purpose");
        });
        test.join().unwrap_err();
        assert!(TcpStream::connect(address).is_err());
    }

    #[test]
    fn a_python_without_it_is_an_error() {
        for python in ["false", "true"] {
            let error = Moto::start_with(&python.into(), "bucket").unwrap_err();
            assert!(error.to_string().starts_with("moto did not start"), "{error}");
        }
    }
}
