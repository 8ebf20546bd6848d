//! Listings that fit a page.

use crate::conformance::scope::Scope;
use crate::conformance::{Outcome, ensure};
use crate::{ListRequest, Lister, StorageBackend};

/// Nothing there: one empty page, no error.
pub async fn list_of_nothing_is_empty(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "list_of_nothing_is_empty").await?;
    for prefix in ["", "x", "deep/below/"] {
        let page = backend.list(ListRequest::new(scope.text(prefix))).await?;
        ensure!(page.objects.is_empty() && page.prefixes.is_empty(), "O7", "objects under an empty prefix");
        let page = backend.list(ListRequest::new(scope.text(prefix)).with_delimiter()).await?;
        ensure!(page.objects.is_empty() && page.prefixes.is_empty(), "O7", "prefixes under an empty prefix");
    }
    Ok(())
}

/// O7: the order is that of bytes, not of directories: `a-b` and `a.b` come before `a/b`.
pub async fn list_is_in_byte_order(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "list_is_in_byte_order").await?;
    let names = [
        "B", "a!b", "a+", "a-b", "a.b", "a/0", "a/b/c", "a/b0", "a/b1/c", "a0", "a_b", "aa", "b", "c d",
        "c!/x", "c/x", "zebra/1", "zebra/10", "zebra/2", "é", "é/x2", "ü/x", "日", "𝄞",
    ];
    let mut names: Vec<&str> = names.into_iter().filter(|name| *name != "é").collect();
    scope.put_all(&names).await?;
    names.sort_unstable();
    scope.expect_list(ListRequest::new(scope.text("")), &names).await?;
    scope.clean().await
}

/// A prefix is bytes: not bound to segments, ending anywhere, even inside of a name.
pub async fn list_prefix_is_bytes(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "list_prefix_is_bytes").await?;
    scope.put_all(&["a/b", "a/bc", "a/bd/e", "a/c", "ab", "b"]).await?;
    for (prefix, expected) in [
        ("a", &["a/b", "a/bc", "a/bd/e", "a/c", "ab"][..]),
        ("a/", &["a/b", "a/bc", "a/bd/e", "a/c"]),
        ("a/b", &["a/b", "a/bc", "a/bd/e"]),
        ("a/bc", &["a/bc"]),
        ("a/bd", &["a/bd/e"]),
        ("a/bd/", &["a/bd/e"]),
        ("a/bd/e", &["a/bd/e"]),
        ("a/bd/e/", &[]),
        ("b/", &[]),
        ("c", &[]),
    ] {
        scope.expect_list(ListRequest::new(scope.text(prefix)), expected).await?;
    }
    scope.clean().await
}

/// H03: prefixes that no key can start with list nothing, and lead nowhere.
pub async fn list_of_odd_prefixes_is_empty(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "list_of_odd_prefixes_is_empty").await?;
    scope.put_all(&["a/b", "c"]).await?;
    let long = "x".repeat(2000);
    for odd in ["/", "../", "a//", "a/../", "a/./", "./", "a/b/../../", "a\0", "\n", "..", &long] {
        scope.expect_list(ListRequest::new(scope.text(odd)), &[]).await?;
        scope.expect_list(ListRequest::new(scope.text(odd)).with_delimiter(), &[]).await?;
    }
    for odd in ["/", "../", "./", "/etc/", "../../../../etc/"] {
        let page = backend.list(ListRequest::new(odd)).await?;
        ensure!(page.objects.is_empty(), "O7", "objects under the prefix {odd:?}");
    }
    scope.clean().await
}

/// Start-after is exclusive, compares bytes, and need not be a key.
pub async fn list_starts_after(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "list_starts_after").await?;
    scope.put_all(&["a/1", "a/2", "a/3/x", "a/3/y", "a0", "b"]).await?;
    for (after, expected) in [
        ("", &["a/1", "a/2", "a/3/x", "a/3/y", "a0", "b"][..]),
        ("a", &["a/1", "a/2", "a/3/x", "a/3/y", "a0", "b"]),
        ("a/1", &["a/2", "a/3/x", "a/3/y", "a0", "b"]),
        ("a/10", &["a/2", "a/3/x", "a/3/y", "a0", "b"]),
        ("a/3", &["a/3/x", "a/3/y", "a0", "b"]),
        ("a/3/x", &["a/3/y", "a0", "b"]),
        ("a/3/z", &["a0", "b"]),
        ("a/4//..", &["a0", "b"]),
        ("a0", &["b"]),
        ("b", &[]),
        ("zzz", &[]),
    ] {
        let request = ListRequest::new(scope.text("")).with_start_after(scope.text(after));
        scope.expect_list(request, expected).await?;
    }
    // Before and behind the prefix, and inside of it.
    let below = |after: &str| ListRequest::new(scope.text("a/")).with_start_after(after);
    scope.expect_list(below(""), &["a/1", "a/2", "a/3/x", "a/3/y"]).await?;
    scope.expect_list(below(&scope.text("a/2")), &["a/3/x", "a/3/y"]).await?;
    scope.expect_list(below(&scope.text("b")), &[]).await?;
    scope.clean().await
}

/// O6: a listing carries the same metadata as head.
pub async fn list_agrees_with_head(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "list_agrees_with_head").await?;
    scope.put_all(&["a", "b/c", "b/long name"]).await?;
    for object in Lister::new(backend, ListRequest::new(scope.text(""))).objects().await? {
        let head = backend.head(&object.key).await?;
        let times = (object.modified_ms, head.modified_ms);
        // A listing may show whole milliseconds where head shows whole seconds.
        ensure!(times.0.abs_diff(times.1) < 1000, "O6", "modified at {times:?} by list and head");
        ensure!(
            times.0 > 1_500_000_000_000,
            "O6",
            "modified at {} ms, before this code was written",
            times.0
        );
        ensure!(
            (&head.key, head.size, &head.version) == (&object.key, object.size, &object.version),
            "O6",
            "list says {object:?}, head says {head:?}"
        );
    }
    scope.clean().await
}

/// With a delimiter, deeper keys are folded, each prefix once; empty levels do not show.
pub async fn list_folds_at_the_delimiter(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "list_folds_at_the_delimiter").await?;
    scope.put_all(&["a-b", "a/1", "a/2/x", "a/2/y", "a0", "b/c/d/e", "gone/deep/x"]).await?;
    backend.delete(&scope.key("gone/deep/x")?).await?;
    for (prefix, objects, prefixes) in [
        ("", &["a-b", "a0"][..], &["a/", "b/"][..]),
        ("a", &["a-b", "a0"], &["a/"]),
        ("a/", &["a/1"], &["a/2/"]),
        ("a/2", &[], &["a/2/"]),
        ("a/2/", &["a/2/x", "a/2/y"], &[]),
        ("b/", &[], &["b/c/"]),
        ("b/c/d", &[], &["b/c/d/"]),
        ("b/c/d/", &["b/c/d/e"], &[]),
    ] {
        let page = backend.list(ListRequest::new(scope.text(prefix)).with_delimiter()).await?;
        let found: Vec<&str> = page.objects.iter().map(|object| object.key.as_str()).collect();
        let wanted: Vec<String> = objects.iter().map(|name| scope.text(name)).collect();
        ensure!(found == wanted, "O7", "{prefix:?}: expected the objects {wanted:?}, found {found:?}");
        let wanted: Vec<String> = prefixes.iter().map(|name| scope.text(name)).collect();
        ensure!(page.prefixes == wanted, "O7", "{prefix:?}: expected {wanted:?}, found {:?}", page.prefixes);
    }
    scope.clean().await
}

/// A prefix shows iff a key beyond start-after lies below it.
pub async fn list_folds_what_lies_beyond_start_after(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "list_folds_what_lies_beyond_start_after").await?;
    scope.put_all(&["a/1", "a/2", "b/1", "c"]).await?;
    for (after, prefixes) in [
        ("", &["a/", "b/"][..]),
        ("a/1", &["a/", "b/"]),
        ("a/2", &["b/"]),
        ("a/zzz", &["b/"]),
        ("b/0", &["b/"]),
        ("b/1", &[]),
    ] {
        let request = ListRequest::new(scope.text("")).with_start_after(scope.text(after)).with_delimiter();
        let page = backend.list(request).await?;
        let wanted: Vec<String> = prefixes.iter().map(|name| scope.text(name)).collect();
        ensure!(
            page.prefixes == wanted,
            "O7",
            "after {after:?}: expected {wanted:?}, found {:?}",
            page.prefixes
        );
        ensure!(page.objects.len() == 1, "O7", "after {after:?}: {} objects, expected c", page.objects.len());
    }
    scope.clean().await
}

/// O3: a listing that starts after a put or delete returned shows it.
pub async fn list_sees_changes_at_once(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "list_sees_changes_at_once").await?;
    let all = || ListRequest::new(scope.text(""));
    for round in 0..10 {
        let name = format!("deep/{round}/x");
        scope.put(&name, "x").await?;
        scope.expect_list(all(), &[&name]).await?;
        backend.delete(&scope.key(&name)?).await?;
        scope.expect_list(all(), &[]).await?;
    }
    Ok(())
}

/// A prefix that is a whole key lists this object, and what begins like it.
pub async fn list_of_a_whole_key(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "list_of_a_whole_key").await?;
    scope.put_all(&["a/key", "a/key-2", "a/kez", "b"]).await?;
    scope.expect_list(ListRequest::new(scope.text("a/key")), &["a/key", "a/key-2"]).await?;
    scope.expect_list(ListRequest::new(scope.text("a/key-2")), &["a/key-2"]).await?;
    scope.expect_list(ListRequest::new(scope.text("a/key")).with_delimiter(), &["a/key", "a/key-2"]).await?;
    scope.clean().await
}
