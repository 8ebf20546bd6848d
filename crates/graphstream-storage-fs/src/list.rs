//! Listings: a walk over directories in the order of keys.
//!
//! Keys order by bytes, directories by nothing. Sorting the names of one directory with a slash behind those of directories
//! and walking depth first gives the order of keys: all below `a/` lies between `a-b` and `a0`, as `/` does between `-` and
//! `0`. Of each directory only as many names are kept as the page still needs.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use graphstream_storage::{KEY_BYTES_MAX, Key, ListPage, ListRequest, Token};

use crate::directory::{Child, Directory};
use crate::error::{Failure, FileKind, Result};
use crate::store::{CONTROL, Store, meta};

/// Objects and prefixes in a page, at most and by default. Each page reads the directories again, so pages are large.
const PAGE_MAX: usize = 10_000;

struct Walk<'a> {
    prefix: &'a str,
    /// Keys up to and with this one are not wanted.
    after: &'a str,
    /// A folded prefix that ended the page before: all below it is answered.
    folded: Option<&'a str>,
    delimiter: bool,
    limit: usize,
    page: ListPage,
    /// The last key or prefix of the page: its token.
    last: String,
}

impl Store {
    pub(crate) fn list(&self, request: &ListRequest) -> Result<ListPage, Failure> {
        let token = request.continuation.as_ref().map_or("", Token::as_str);
        let mut walk = Walk {
            prefix: &request.prefix,
            after: request.start_after.as_deref().unwrap_or("").max(token),
            folded: token.ends_with('/').then_some(token),
            delimiter: request.delimiter,
            limit: request.limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX),
            page: ListPage::default(),
            last: String::new(),
        };
        // Straight to the deepest directory that the prefix names in whole segments.
        let (above, _) = request.prefix.rsplit_once('/').unwrap_or_default();
        let names =
            || above.split('/').filter(|_| !request.prefix.is_empty() && request.prefix.contains('/'));
        let possible = request.prefix.len() <= KEY_BYTES_MAX
            && names().all(|name| Key::is_segment(name) && name != CONTROL);
        if possible && let Some(directory) = self.root()?.descend(names())? {
            let path = if names().next().is_some() { format!("{above}/") } else { String::new() };
            let _ = walk.directory(&directory, &path)?;
        }
        if walk.page.objects.is_empty() && walk.page.prefixes.is_empty() {
            self.check_present()?;
        }
        Ok(walk.page)
    }
}

impl Walk<'_> {
    /// Answers with what lies below `path`, which is empty or ends with a slash. Breaks when the page is full.
    fn directory(&mut self, directory: &Directory, path: &str) -> Result<ControlFlow<()>, Failure> {
        let mut cursor = String::new();
        loop {
            let keep = self.limit - self.taken().min(self.limit) + 1;
            let mut names = BTreeSet::new();
            directory.names(|name, kind| {
                if let Some(name) = self.wanted(path, name, kind).filter(|name| *name > cursor) {
                    names.insert(name);
                    if names.len() > keep {
                        names.pop_last();
                    }
                }
            })?;
            // Names can turn out to hold no key; then the kept ones do not fill the page and the rest is read again.
            let all = names.len() < keep;
            for name in &names {
                let flow = match name.strip_suffix('/') {
                    Some(child) => self.child(directory, child, &format!("{path}{name}"))?,
                    None => self.file(directory, name, path)?,
                };
                if flow.is_break() {
                    return Ok(flow);
                }
            }
            match names.pop_last() {
                Some(last) if !all => cursor = last,
                _ => return Ok(ControlFlow::Continue(())),
            }
        }
    }

    /// The name as it sorts, if something below it can be part of the answer.
    fn wanted(&self, path: &str, name: &str, kind: FileKind) -> Option<String> {
        if name == CONTROL || !Key::is_segment(name) || path.len() + name.len() > KEY_BYTES_MAX {
            return None;
        }
        let full = format!("{path}{name}");
        match kind {
            FileKind::File => {
                (full.starts_with(self.prefix) && self.is_beyond(&full)).then(|| name.to_owned())
            }
            FileKind::Directory => {
                let full = full + "/";
                let touched = full.starts_with(self.prefix) || self.prefix.starts_with(&full);
                let passed = self.after > full.as_str() && !self.after.starts_with(&full);
                let answered = self.folded.is_some_and(|folded| full.starts_with(folded));
                (touched && !passed && !answered).then(|| format!("{name}/"))
            }
            _ => None,
        }
    }

    fn is_beyond(&self, key: &str) -> bool {
        key > self.after && !self.folded.is_some_and(|folded| key.starts_with(folded))
    }

    fn taken(&self) -> usize {
        self.page.objects.len() + self.page.prefixes.len()
    }

    /// Ends the page if it is full, now that there is one more thing to say.
    fn is_full(&mut self) -> bool {
        let full = self.taken() >= self.limit;
        if full {
            self.page.next = Some(Token::new(self.last.as_str()));
        }
        full
    }

    fn file(&mut self, directory: &Directory, name: &str, path: &str) -> Result<ControlFlow<()>, Failure> {
        let Ok(key) = Key::new(format!("{path}{name}")) else { return Ok(ControlFlow::Continue(())) };
        // Gone since its name was read, or become something else.
        let Some(entry) = directory.entry(name)?.filter(|entry| entry.kind == FileKind::File) else {
            return Ok(ControlFlow::Continue(()));
        };
        if self.is_full() {
            return Ok(ControlFlow::Break(()));
        }
        self.page.objects.push(meta(&key, &entry)?);
        key.as_str().clone_into(&mut self.last);
        Ok(ControlFlow::Continue(()))
    }

    fn child(&mut self, directory: &Directory, name: &str, full: &str) -> Result<ControlFlow<()>, Failure> {
        let Child::Directory(child) = directory.child(name)? else { return Ok(ControlFlow::Continue(())) };
        if !self.delimiter || !full.starts_with(self.prefix) || full.len() == self.prefix.len() {
            return self.directory(&child, full);
        }
        if !self.holds_key(&child, full)? {
            return Ok(ControlFlow::Continue(()));
        }
        if self.is_full() {
            return Ok(ControlFlow::Break(()));
        }
        self.page.prefixes.push(full.to_owned());
        full.clone_into(&mut self.last);
        Ok(ControlFlow::Continue(()))
    }

    /// Whether any wanted key lies below: empty directories are not to be seen.
    fn holds_key(&self, directory: &Directory, path: &str) -> Result<bool, Failure> {
        let mut found = false;
        let mut children = Vec::new();
        directory.names(|name, kind| {
            if let Some(name) = self.wanted(path, name, kind) {
                match name.ends_with('/') {
                    true => children.push(name),
                    false => found = true,
                }
            }
        })?;
        if found {
            return Ok(true);
        }
        for name in children {
            let Child::Directory(child) = directory.child(name.trim_end_matches('/'))? else { continue };
            if self.holds_key(&child, &format!("{path}{name}"))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
