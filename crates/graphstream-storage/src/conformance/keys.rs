//! Keys at the edges of the grammar.

use crate::conformance::scope::Scope;
use crate::conformance::{Outcome, ensure};
use crate::{Error, KEY_BYTES_MAX, ListRequest, PutMode, SEGMENT_BYTES_MAX, StorageBackend};

/// Characters that URLs, shells, globs and XML give a meaning, and those beyond ASCII, are only characters.
pub async fn keys_may_be_odd(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "keys_may_be_odd").await?;
    let mut names = vec![
        " leading",
        "trailing ",
        "two  blanks",
        "plus+plus",
        "per%20cent",
        "per%2Fcent",
        "%",
        "q?uestion",
        "ha#sh",
        "a&b",
        "a=b",
        "a;b",
        "a:b",
        "a,b",
        "a@b",
        "a$b",
        "a*b",
        "[ab]",
        "{a}",
        "<a>",
        "\"a\"",
        "'a'",
        "`a`",
        "|",
        "~tilde",
        ".hidden",
        "...",
        "trailing.",
        "-dash",
        "é",
        "e\u{301}",
        "日本語",
        "𝄞",
        "a/ /b",
        "a/.../b",
    ];
    names.sort_unstable();
    scope.put_all(&names).await?;
    for name in &names {
        scope.expect_body(name, name.as_bytes()).await?;
        let head = backend.head(&scope.key(name)?).await?;
        ensure!(head.key == scope.key(name)?, "O7", "head of {name:?} names {}", head.key);
    }
    scope.expect_list(ListRequest::new(scope.text("")), &names).await?;
    scope.expect_list(ListRequest::new(scope.text("per%")), &["per%20cent", "per%2Fcent"]).await?;
    scope.clean().await?;
    scope.expect_list(ListRequest::new(scope.text("")), &[]).await
}

/// A segment of 255 bytes and a key of 1,024 bytes.
pub async fn keys_may_be_long(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "keys_may_be_long").await?;
    let segment = "s".repeat(SEGMENT_BYTES_MAX);
    let fill = KEY_BYTES_MAX - scope.text("").len();
    let mut long: String = "long-key/".repeat(200);
    long.truncate(fill - 1);
    long.push('x');
    ensure!(scope.key(&long)?.as_str().len() == KEY_BYTES_MAX, "O7", "the suite miscounts");
    for name in [&segment, &long] {
        scope.put_as(name, name.clone().into_bytes(), PutMode::Create).await?;
        scope.expect_body(name, name.as_bytes()).await?;
        scope.expect_list(ListRequest::new(scope.text(name)), &[name.as_str()]).await?;
        backend.delete(&scope.key(name)?).await?;
    }
    scope.clean().await
}

/// `a` beside `a/b`: two objects like any others, or the second is refused and the first untouched, in either order.
pub async fn keys_may_nest_or_be_refused(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "keys_may_nest_or_be_refused").await?;
    for (first, second) in [("a", "a/b"), ("c/d", "c"), ("e", "e/f/g"), ("h/i/j", "h")] {
        scope.put(first, "first").await?;
        for mode in [PutMode::Create, PutMode::Overwrite] {
            match scope.put_as(second, "second", mode).await {
                Ok(_) => {
                    scope.expect_body(second, b"second").await?;
                    backend.delete(&scope.key(second)?).await?;
                }
                Err(Error::KeyConflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            scope.expect_missing(second).await?;
            scope.expect_body(first, b"first").await?;
        }
    }
    scope.expect_list(ListRequest::new(scope.text("")), &["a", "c/d", "e", "h/i/j"]).await?;
    scope.clean().await
}
