//! Everything without conditions on puts: reading, listing, deleting.

use crate::error::{ErrorClass, Result};
use crate::{GetOptions, GetOutcome, Key, ListRequest, Lister, PutMode};

use super::report::{Capability, Finding, Outcome, Seen, Verdict};
use super::scope::Scope;

const BODY: &str = "0123456789 graphstream check 0123456789";

fn wrong(detail: impl Into<String>) -> Seen {
    Seen::new(Verdict::Wrong, detail)
}

/// Without these two there is nothing to find out.
pub(super) async fn put_and_get(scope: &Scope<'_>) -> Result<Vec<Finding>> {
    let key = scope.key("object")?;
    scope.put(&key, BODY, PutMode::Overwrite).await?;
    let (_, body) = scope.read(&key).await?;
    let got = if body == BODY { Ok(()) } else { Err(wrong("another body came back than was put")) };
    Ok(vec![Finding::of(Capability::Put, Ok(())), Finding::of(Capability::Get, got)])
}

pub(super) async fn range(scope: &Scope<'_>) -> Outcome {
    let options = GetOptions::default().with_range(11..22);
    let found = scope.backend.get(&scope.key("object")?, options).await?.found();
    let object = found.ok_or_else(|| wrong("\"not modified\", without a condition"))?;
    let range = object.range.clone();
    let bytes = object.bytes(BODY.len() as u64).await?;
    if range == (11..22) && bytes == "graphstream" {
        Ok(())
    } else {
        Err(wrong("other bytes than asked for"))
    }
}

pub(super) async fn head(scope: &Scope<'_>) -> Outcome {
    let key = scope.key("object")?;
    let (version, _) = scope.read(&key).await?;
    let meta = scope.backend.head(&key).await?;
    if meta.size != BODY.len() as u64 || meta.version != version {
        return Err(wrong("size or version are not those of the object"));
    }
    missing(scope, &scope.key("never/put")?).await
}

async fn missing(scope: &Scope<'_>, key: &Key) -> Outcome {
    match scope.backend.head(key).await {
        Err(error) if error.class() == ErrorClass::NotFound => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(wrong("there is an object where there should be none")),
    }
}

pub(super) async fn conditional_get(scope: &Scope<'_>) -> Outcome {
    let key = scope.key("changing")?;
    let first = scope.put(&key, "first", PutMode::Overwrite).await?;
    let conditional = || GetOptions::default().with_if_changed_from(first.clone());
    if let GetOutcome::Found(_) = scope.backend.get(&key, conditional()).await? {
        return Err(Seen::new(
            Verdict::Ignored,
            "an unchanged object is sent again: right, but it costs traffic",
        ));
    }
    scope.put(&key, "second", PutMode::Overwrite).await?;
    match scope.backend.get(&key, conditional()).await? {
        GetOutcome::Found(_) => Ok(()),
        GetOutcome::NotModified => Err(wrong("a changed object is said to be unchanged")),
    }
}

pub(super) async fn listings(scope: &Scope<'_>) -> Vec<Finding> {
    let put = put_all(scope, &NAMES).await;
    if let Err(Seen { verdict, detail }) = put {
        return vec![Finding::of(Capability::List, Err(Seen { verdict, detail }))];
    }
    let all = || ListRequest::new(scope.text("list/"));
    let after = |name: &str| all().with_start_after(scope.text(name));
    vec![
        Finding::of(Capability::List, listed(scope, all(), &NAMES).await),
        Finding::of(Capability::ListPages, pages(scope, all().with_limit(2)).await),
        Finding::of(
            Capability::ListStartAfter,
            listed(scope, after("list/b/1"), NAMES.get(2..).unwrap_or_default()).await,
        ),
        Finding::of(Capability::ListDelimiter, folded(scope, all().with_delimiter()).await),
    ]
}

/// In order of their bytes, in which `.` stands before `/`.
const NAMES: [&str; 6] = ["list/a", "list/b/1", "list/b/2", "list/c", "list/d.e", "list/d/e"];

async fn put_all(scope: &Scope<'_>, names: &[&str]) -> Outcome {
    for name in names {
        scope.put(&scope.key(name)?, name, PutMode::Overwrite).await?;
    }
    Ok(())
}

async fn listed(scope: &Scope<'_>, request: ListRequest, expected: &[&str]) -> Outcome {
    let objects = Lister::new(scope.backend, request).objects().await?;
    let expected = expected.iter().map(|name| scope.text(name));
    if objects.iter().map(|object| object.key.as_str()).eq(expected) {
        Ok(())
    } else {
        Err(wrong(format!("{} keys, or in another order, than there are", objects.len())))
    }
}

async fn pages(scope: &Scope<'_>, request: ListRequest) -> Outcome {
    let page = scope.backend.list(request.clone()).await?;
    if page.objects.len() > 2 {
        return Err(wrong(format!("{} keys in a page, 2 asked for", page.objects.len())));
    }
    listed(scope, request, &NAMES).await
}

async fn folded(scope: &Scope<'_>, request: ListRequest) -> Outcome {
    let mut lister = Lister::new(scope.backend, request);
    let (mut objects, mut prefixes) = (Vec::new(), Vec::new());
    while let Some(page) = lister.next_page().await? {
        objects.extend(page.objects.into_iter().map(|object| object.key.as_str().to_owned()));
        prefixes.extend(page.prefixes);
    }
    let texts = |names: [&str; 3]| names.map(|name| scope.text(name)).to_vec();
    let right = objects == texts(["list/a", "list/c", "list/d.e"])
        && prefixes == [scope.text("list/b/"), scope.text("list/d/")];
    if right { Ok(()) } else { Err(wrong("keys are not folded at the delimiter")) }
}

pub(super) async fn delete(scope: &Scope<'_>) -> Outcome {
    let key = scope.key("deleted")?;
    scope.put(&key, BODY, PutMode::Overwrite).await?;
    scope.backend.delete(&key).await?;
    missing(scope, &key).await?;
    scope.backend.delete(&key).await.map_err(|error| {
        let Seen { verdict, detail } = error.into();
        Seen::new(verdict, format!("deleting what is not there: {detail}"))
    })
}

pub(super) async fn delete_many(scope: &Scope<'_>) -> Outcome {
    let names = ["many/1", "many/2", "many/3"];
    put_all(scope, &names).await?;
    let keys = names.iter().map(|name| scope.key(name)).collect::<Result<Vec<_>>>()?;
    for (_, outcome) in scope.backend.delete_many(&keys).await? {
        outcome?;
    }
    for key in &keys {
        missing(scope, key).await?;
    }
    Ok(())
}
