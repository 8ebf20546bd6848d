//! Reading at an offset, from several threads or processes at once.

use std::io::Result;

/// Something that can be read at any offset through a shared reference: a file another process appends to, or bytes in
/// memory. Reading at the end, or behind it, gives 0 bytes.
pub trait ReadAt {
    /// Reads up to `buffer.len()` bytes from `offset` and returns how many; fewer is no error, 0 is the end for now.
    ///
    /// # Errors
    /// What the medium reports.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize>;
}

impl ReadAt for [u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let taken = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(taken)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.as_slice().read_at(buffer, offset)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        (**self).read_at(buffer, offset)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for Box<T> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        (**self).read_at(buffer, offset)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for std::sync::Arc<T> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        (**self).read_at(buffer, offset)
    }
}

#[cfg(unix)]
impl ReadAt for std::fs::File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }
}

#[cfg(windows)]
impl ReadAt for std::fs::File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        std::os::windows::fs::FileExt::seek_read(self, buffer, offset)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_holds_a_source_reads_as_it_does() {
        let bytes = b"0123456789".to_vec();
        let holders: [&dyn ReadAt; 5] =
            [&bytes, &bytes.as_slice(), &Box::new(bytes.clone()), &Arc::new(bytes.clone()), &&bytes];
        for holder in holders {
            let mut buffer = [0; 4];
            assert_eq!((holder.read_at(&mut buffer, 3).unwrap(), buffer), (4, *b"3456"));
            assert_eq!((holder.read_at(&mut buffer, 8).unwrap(), buffer), (2, *b"8956"));
            assert_eq!(holder.read_at(&mut buffer, 10).unwrap(), 0);
            assert_eq!(holder.read_at(&mut buffer, u64::MAX).unwrap(), 0);
        }
    }
}
