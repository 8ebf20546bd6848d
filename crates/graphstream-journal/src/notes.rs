//! What is noted in a journal's directory beside its segments: cursors, and what the shipper leaves for the writer, for `status`, and for its
//! own next start.

use std::io;

use crate::cursor::{Cursor, CursorFile, FencedNote, OutageNote};
use crate::directory::{JournalDir, remove_if_exists};
use crate::error::{Error, Result};
use crate::{names, small_file};

impl JournalDir {
    /// All cursors, by name.
    ///
    /// # Errors
    /// [`Error::InvalidJson`], [`Error::Io`].
    pub fn cursors(&self) -> Result<Vec<Cursor>> {
        let dir = self.path.join(names::CURSORS);
        let entries = match self.fs.list(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("listing", &dir)(error)),
        };
        let mut cursors = Vec::new();
        for entry in entries {
            let name = entry.name.to_str().and_then(|name| name.strip_suffix(".json"));
            if let Some(name) = name.filter(|name| names::is_cursor_name(name)) {
                cursors.extend(self.cursor(name)?);
            }
        }
        cursors.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(cursors)
    }

    /// One cursor; `None` when it was never set.
    ///
    /// # Errors
    /// [`Error::InvalidCursorName`], [`Error::InvalidJson`], [`Error::Io`].
    pub fn cursor(&self, name: &str) -> Result<Option<Cursor>> {
        let file = self.cursor_file(name)?;
        let path = self.path.join(names::CURSORS).join(file);
        let Some(CursorFile { sequence, updated_ms }) = small_file::read_json(&*self.fs, &path)? else {
            return Ok(None);
        };
        Ok(Some(Cursor { name: name.to_owned(), sequence, updated_ms }))
    }

    /// Sets a cursor durably: its owner needs nothing up to and including `sequence` any more. A cursor must never stand
    /// beyond what is *synced*.
    ///
    /// # Errors
    /// [`Error::InvalidCursorName`], [`Error::Io`].
    pub fn set_cursor(&self, name: &str, sequence: u64, now_ms: i64) -> Result<()> {
        let file = self.cursor_file(name)?;
        let dir = self.path.join(names::CURSORS);
        self.fs.create_dir_all(&dir).map_err(Error::io("creating", &dir))?;
        self.fs.sync_dir(&self.path).map_err(Error::io("syncing", &self.path))?;
        small_file::replace_json(&*self.fs, &dir, &file, &CursorFile { sequence, updated_ms: now_ms })
    }

    /// Removes a cursor; fine when it was never set. It holds nothing back any more.
    ///
    /// # Errors
    /// [`Error::InvalidCursorName`], [`Error::Io`].
    pub fn remove_cursor(&self, name: &str) -> Result<()> {
        let path = self.path.join(names::CURSORS).join(self.cursor_file(name)?);
        remove_if_exists(&*self.fs, &path)
    }

    fn cursor_file(&self, name: &str) -> Result<String> {
        if names::is_cursor_name(name) { Ok(format!("{name}.json")) } else { Err(Error::InvalidCursorName) }
    }

    /// What the shipper keeps in `upload_manifest.json`, as it stands there; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::FileTooLarge`], [`Error::Io`].
    pub fn upload_manifest(&self) -> Result<Option<Vec<u8>>> {
        small_file::read(&*self.fs, &self.path.join(names::UPLOAD_MANIFEST))
    }

    /// Replaces `upload_manifest.json` durably: after a power cut the old or the new one is there. Only for the process that holds `SHIP`.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::InvalidJson`] for what can't be JSON.
    pub fn set_upload_manifest<T: serde::Serialize>(&self, manifest: &T) -> Result<()> {
        small_file::replace_json(&*self.fs, &self.path, names::UPLOAD_MANIFEST, manifest)
    }

    /// What `FENCED` says; `None` when the journal is not fenced.
    ///
    /// # Errors
    /// [`Error::InvalidJson`], [`Error::Io`].
    pub fn fenced(&self) -> Result<Option<FencedNote>> {
        small_file::read_json(&*self.fs, &self.path.join(names::FENCED))
    }

    /// Writes `FENCED` durably: the writer stops at its next rotation, and no writer opens the journal.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn set_fenced(&self, after: u64, now_ms: i64) -> Result<()> {
        small_file::replace_json(
            &*self.fs,
            &self.path,
            names::FENCED,
            &FencedNote { after, noted_ms: now_ms },
        )
    }

    /// Removes `FENCED`, durably, after its reason was dealt with; fine when it does not exist.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn clear_fenced(&self) -> Result<()> {
        remove_if_exists(&*self.fs, &self.path.join(names::FENCED))?;
        self.fs.sync_dir(&self.path).map_err(Error::io("syncing", &self.path))
    }

    /// What `OUTAGE` says; `None` when whoever shipped last was well. It says something only for as long as the shipper holds `SHIP`.
    ///
    /// # Errors
    /// [`Error::InvalidJson`], [`Error::Io`].
    pub fn outage(&self) -> Result<Option<OutageNote>> {
        small_file::read_json(&*self.fs, &self.path.join(names::OUTAGE))
    }

    /// Writes `OUTAGE`, or removes it. Only for the process that holds `SHIP`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn note_outage(&self, note: Option<&OutageNote>) -> Result<()> {
        match note {
            Some(note) => small_file::replace_json(&*self.fs, &self.path, names::OUTAGE, note),
            None => remove_if_exists(&*self.fs, &self.path.join(names::OUTAGE)),
        }
    }
}
