//! Deletes.

use crate::conformance::scope::Scope;
use crate::conformance::{Outcome, ensure};
use crate::{Key, ListRequest, StorageBackend};

/// O8, O3: deleting twice, and what never was, is fine; the object is gone at once.
pub async fn delete_is_idempotent(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "delete_is_idempotent").await?;
    scope.put("deep/below/object", "x").await?;
    let key = scope.key("deep/below/object")?;
    for _ in 0..3 {
        backend.delete(&key).await?;
        scope.expect_missing("deep/below/object").await?;
    }
    for name in ["never", "never/there", "deep", "deep/below"] {
        backend.delete(&scope.key(name)?).await?;
    }
    scope.expect_list(ListRequest::new(scope.text("")), &[]).await
}

/// A delete takes this key only, not those that begin like it or lie below it.
pub async fn delete_leaves_neighbours(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "delete_leaves_neighbours").await?;
    scope.put_all(&["a", "ab", "a-b", "b/c", "b/d", "e/f/g"]).await?;
    for name in ["a", "b", "b/c", "e", "e/f"] {
        backend.delete(&scope.key(name)?).await?;
    }
    scope.expect_list(ListRequest::new(scope.text("")), &["a-b", "ab", "b/d", "e/f/g"]).await?;
    scope.clean().await
}

/// O8: one outcome per key in the order given, missing keys included; no keys, no outcomes.
pub async fn delete_many_reports_each_key(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "delete_many_reports_each_key").await?;
    scope.put_all(&["a", "b/c", "d", "kept"]).await?;
    let keys: Vec<Key> =
        ["d", "missing", "a", "b/c"].iter().map(|name| scope.key(name)).collect::<Result<_, _>>()?;
    let outcomes = backend.delete_many(&keys).await?;
    let answered: Vec<&Key> = outcomes.iter().map(|(key, _)| key).collect();
    ensure!(
        answered == keys.iter().collect::<Vec<_>>(),
        "O8",
        "asked for {keys:?}, answered for {answered:?}"
    );
    for (_, outcome) in outcomes {
        outcome?;
    }
    ensure!(backend.delete_many(&[]).await?.is_empty(), "O8", "an outcome for no key");
    scope.expect_list(ListRequest::new(scope.text("")), &["kept"]).await?;
    scope.clean().await
}

/// S09, S12: more keys than a store may take in one request, most of them missing: one outcome per key, in the order given.
pub async fn delete_many_takes_more_than_a_thousand(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "delete_many_takes_more_than_a_thousand").await?;
    scope.put_all(&["0000", "0999", "1000", "1199", "kept"]).await?;
    let keys = (0..1200).map(|n| scope.key(&format!("{n:04}"))).collect::<Result<Vec<_>, _>>()?;
    let outcomes = backend.delete_many(&keys).await?;
    ensure!(
        outcomes.iter().map(|(key, _)| key).eq(&keys),
        "O8",
        "{} outcomes, or in another order, for {} keys",
        outcomes.len(),
        keys.len()
    );
    for (_, outcome) in outcomes {
        outcome?;
    }
    scope.expect_list(ListRequest::new(scope.text("")), &["kept"]).await?;
    scope.clean().await
}
