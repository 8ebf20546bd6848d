//! Lines of an input stream, bounded: one that never ends does not fill the memory.

use std::io::{self, BufRead};

/// Why there is no next line.
#[derive(Debug)]
pub(crate) enum LineError {
    /// The stream failed.
    Io(io::Error),
    /// The line has more bytes than allowed; the stream stands inside it.
    TooLong,
}

/// Reads lines and counts them.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    inner: R,
    number: u64,
    bytes_max: usize,
    bytes_read: u64,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(inner: R, bytes_max: usize) -> Self {
        Self { inner, number: 0, bytes_max, bytes_read: 0 }
    }

    /// The number of the line that was read last (or failed), from 1.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// Bytes taken from the stream so far.
    pub(crate) const fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Puts the next line into `line`, without its end (`\n` or `\r\n`); false at the end of the stream. The last line needs no
    /// line end.
    pub(crate) fn next(&mut self, line: &mut Vec<u8>) -> Result<bool, LineError> {
        line.clear();
        let mut begun = false;
        loop {
            let buffer = match self.inner.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.number += u64::from(!begun);
                    return Err(LineError::Io(error));
                }
            };
            if !begun && !buffer.is_empty() {
                begun = true;
                self.number += 1;
            }
            let end = buffer.iter().position(|&byte| byte == b'\n');
            let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
            if line.len() + part.len() > self.bytes_max {
                return Err(LineError::TooLong);
            }
            line.extend_from_slice(part);
            let (ended, taken) =
                (end.is_some() || buffer.is_empty(), part.len() + usize::from(end.is_some()));
            self.inner.consume(taken);
            self.bytes_read += taken as u64;
            if ended {
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(begun);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn all(input: &[u8], capacity: usize, max: usize) -> (Vec<String>, Option<u64>) {
        let mut lines = Lines::new(BufReader::with_capacity(capacity, input), max);
        let (mut found, mut line) = (Vec::new(), Vec::new());
        loop {
            match lines.next(&mut line) {
                Ok(true) => found.push(String::from_utf8(line.clone()).unwrap()),
                Ok(false) => return (found, None),
                Err(LineError::TooLong) => return (found, Some(lines.number())),
                Err(LineError::Io(error)) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn lines_are_cut_at_any_buffer_size() {
        for capacity in 1..12 {
            let (found, failed) = all(b"one\r\n\ntwo\nthree", capacity, 5);
            assert_eq!(found, ["one", "", "two", "three"], "buffer of {capacity}");
            assert_eq!(failed, None);
        }
    }

    #[test]
    fn h01_a_line_beyond_the_limit_is_refused_by_its_number_before_it_is_held() {
        for capacity in 1..12 {
            let (found, failed) = all(b"12345\n123456\n1\n", capacity, 5);
            assert_eq!(found, ["12345"]);
            assert_eq!(failed, Some(2));
        }
    }
}
