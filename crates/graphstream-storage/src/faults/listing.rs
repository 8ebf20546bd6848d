//! Damaged pages.

use crate::faults::ListFault;
use crate::{ListPage, Token};

/// Damages one page; `asked` is the token that the caller had sent.
pub(super) fn damaged(mut page: ListPage, asked: Option<Token>, fault: &ListFault) -> ListPage {
    match fault {
        ListFault::Omit(text) => page.objects.retain(|object| !object.key.as_str().contains(text.as_str())),
        ListFault::Duplicate => page.objects.extend(page.objects.last().cloned()),
        ListFault::Reverse => page.objects.reverse(),
        ListFault::RepeatToken => page.next = Some(asked.unwrap_or_else(|| Token::new("injected"))),
        ListFault::Forget => page.next = None,
    }
    page
}
