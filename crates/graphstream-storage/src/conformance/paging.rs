//! Listings over many pages.

use futures_util::future::try_join_all;

use crate::conformance::scope::Scope;
use crate::conformance::{Outcome, Violation, ensure};
use crate::{ListPage, ListRequest, Lister, StorageBackend};

/// S09: pages of 1, 2, 3.. hold no more than asked for and together everything, with and without start-after.
pub async fn paging_respects_limits(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "paging_respects_limits").await?;
    let names = ["a-b", "a/1", "a/2", "a/3/x", "a0", "b", "c/d"];
    scope.put_all(&names).await?;
    for limit in [1, 2, 3, 6, 7, 8, 5000] {
        let mut lister = Lister::new(backend, ListRequest::new(scope.text("")).with_limit(limit));
        let mut found = 0;
        while let Some(page) = lister.next_page().await? {
            ensure!(page.objects.len() <= limit, "O7", "{} objects in a page of {limit}", page.objects.len());
            found += page.objects.len();
        }
        ensure!(found == names.len(), "O7", "{found} objects in pages of {limit}, expected {}", names.len());
        let request = ListRequest::new(scope.text("")).with_limit(limit).with_start_after(scope.text("a/1"));
        scope.expect_list(request, &["a/2", "a/3/x", "a0", "b", "c/d"]).await?;
    }
    scope.clean().await
}

/// S09: objects and prefixes count for the limit, and a folded prefix is not reported again on the next page.
pub async fn paging_with_delimiter(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "paging_with_delimiter").await?;
    scope.put_all(&["a", "b/1", "b/2", "b/3", "c", "d/1/x", "d/2/x", "e-1", "e/1", "e0"]).await?;
    for limit in [1, 2, 3, 4, 100] {
        let mut lister =
            Lister::new(backend, ListRequest::new(scope.text("")).with_delimiter().with_limit(limit));
        let (mut objects, mut prefixes) = (Vec::new(), Vec::new());
        while let Some(page) = lister.next_page().await? {
            let size = page.objects.len() + page.prefixes.len();
            ensure!(size <= limit, "O7", "{size} objects and prefixes in a page of {limit}");
            objects.extend(page.objects.into_iter().map(|object| object.key.as_str().to_owned()));
            prefixes.extend(page.prefixes);
        }
        let wanted: Vec<String> = ["a", "c", "e-1", "e0"].iter().map(|name| scope.text(name)).collect();
        ensure!(objects == wanted, "O7", "pages of {limit}: expected {wanted:?}, found {objects:?}");
        let wanted: Vec<String> = ["b/", "d/", "e/"].iter().map(|name| scope.text(name)).collect();
        ensure!(prefixes == wanted, "O7", "pages of {limit}: expected {wanted:?}, found {prefixes:?}");
    }
    scope.clean().await
}

/// S09: 1,100 keys, more than any store gives in one page, listed in pages of the store's choice.
pub async fn paging_over_a_thousand_keys(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "paging_over_a_thousand_keys").await?;
    let names: Vec<String> = (0..1100).map(|n| format!("{:02}/{n:06}", n / 300)).collect();
    for chunk in names.chunks(16) {
        try_join_all(chunk.iter().map(|name| scope.put(name, "x"))).await?;
    }
    let expected: Vec<&str> = names.iter().map(String::as_str).collect();
    scope.expect_list(ListRequest::new(scope.text("")), &expected).await?;
    let request = ListRequest::new(scope.text("")).with_start_after(scope.text("01/000500")).with_limit(97);
    scope.expect_list(request, expected.get(501..).unwrap_or_default()).await?;
    scope.clean().await
}

/// O7: keys that stay are listed exactly once, whatever happens to others between the pages, the last listed one included.
pub async fn paging_while_keys_come_and_go(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "paging_while_keys_come_and_go").await?;
    let name = |n: usize| format!("{:02}/{n:03}", n / 10);
    for n in 0..30 {
        scope.put(&name(n), "x").await?;
    }
    let mut lister = Lister::new(backend, ListRequest::new(scope.text("")).with_limit(4));
    let mut listed = Vec::new();
    let mut pages = 0;
    while let Some(page) = lister.next_page().await? {
        pages += 1;
        listed.extend(page.objects.iter().map(|object| object.key.clone()));
        if let Some(last) = page.objects.last().filter(|_| pages % 2 == 0) {
            // Odd numbers stay; the page's last key goes if it is an even one, and new keys come before and behind.
            if last.key.as_str().ends_with(['0', '2', '4', '6', '8']) {
                backend.delete(&last.key).await?;
            }
            scope.put(&format!("00/000-{pages}"), "new").await?;
            scope.put(&format!("99/{pages}"), "new").await?;
        }
    }
    for n in (1..30).step_by(2) {
        let key = scope.key(&name(n))?;
        let times = listed.iter().filter(|listed| **listed == key).count();
        ensure!(times == 1, "O7", "{key} was there all the time and listed {times} times");
    }
    scope.clean().await
}

/// S09: a token asks for the same page again, as a retry does.
pub async fn paging_tokens_may_be_used_again(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "paging_tokens_may_be_used_again").await?;
    scope.put_all(&["a", "b", "c", "d", "e"]).await?;
    let request = || ListRequest::new(scope.text("")).with_limit(2);
    let first = backend.list(request()).await?;
    let token = first.next.ok_or_else(|| Violation::new("O7", "no token after 2 of 5 keys"))?;
    let pages = [
        backend.list(request().with_continuation(token.clone())).await?,
        backend.list(request().with_continuation(token)).await?,
    ];
    let keys = |page: &ListPage| page.objects.iter().map(|object| object.key.clone()).collect::<Vec<_>>();
    let [once, again] = pages.each_ref().map(keys);
    ensure!(once == again, "O7", "the same token led to {once:?}, then to {again:?}");
    scope.clean().await
}
