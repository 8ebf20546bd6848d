//! Damaged pages of ListObjectsV2. The XML is cut as text: servers write it without surprises.

use super::ListFault;

/// Damages a page; `asked` is the token that the client had sent.
pub(super) fn damaged(page: &str, asked: Option<&str>, fault: &ListFault) -> String {
    match fault {
        ListFault::RepeatToken => {
            let token = asked.unwrap_or("scripted").replace('&', "&amp;").replace('<', "&lt;");
            with(&with(page, "IsTruncated", Some("true")), "NextContinuationToken", Some(&token))
        }
        ListFault::DropToken => with(&with(page, "IsTruncated", Some("true")), "NextContinuationToken", None),
        ListFault::Forget => with(&with(page, "IsTruncated", Some("false")), "NextContinuationToken", None),
        ListFault::Reverse => objects(page, |objects| objects.reverse()),
        ListFault::Duplicate => objects(page, |objects| objects.extend(objects.last().copied())),
        ListFault::Omit(text) => {
            objects(page, |objects| objects.retain(|object| !object.contains(text.as_str())))
        }
    }
}

/// The page with another text in an element, or without the element.
fn with(page: &str, element: &str, text: Option<&str>) -> String {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let new = text.map_or(String::new(), |text| format!("{open}{text}{close}"));
    let parts = page.split_once(&open).and_then(|(before, rest)| Some((before, rest.split_once(&close)?.1)));
    match (parts, page.rsplit_once("</")) {
        (Some((before, after)), _) => format!("{before}{new}{after}"),
        (None, Some((before, end))) => format!("{before}{new}</{end}"),
        (None, None) => page.to_owned(),
    }
}

/// The page with its row of objects changed.
fn objects(page: &str, change: impl Fn(&mut Vec<&str>)) -> String {
    const END: &str = "</Contents>";
    let bounds = page.find("<Contents>").zip(page.rfind(END).map(|at| at + END.len()));
    let parts = bounds.and_then(|(from, to)| Some((page.get(..from)?, page.get(from..to)?, page.get(to..)?)));
    let Some((before, row, after)) = parts else { return page.to_owned() };
    let mut objects: Vec<&str> = row.split_inclusive(END).collect();
    change(&mut objects);
    format!("{before}{}{after}", objects.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<List><IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents>\n\
                        <Contents><Key>b</Key></Contents><Prefix>p</Prefix></List>";

    #[test]
    fn pages_are_damaged_as_said() {
        let page = |fault| damaged(PAGE, Some("t&1"), &fault);
        let keys =
            |page: &str| page.split("<Key>").skip(1).map(|key| key[..1].to_owned()).collect::<String>();
        assert_eq!(keys(&page(ListFault::Reverse)), "ba");
        assert_eq!(keys(&page(ListFault::Duplicate)), "abb");
        assert_eq!(keys(&page(ListFault::Omit("<Key>a<".into()))), "b");
        let repeated = page(ListFault::RepeatToken);
        assert!(repeated.contains("<IsTruncated>true</IsTruncated>"), "{repeated}");
        let token = "<NextContinuationToken>t&amp;1</NextContinuationToken></List>";
        assert!(repeated.ends_with(token), "{repeated}");
        let other = damaged(&repeated, None, &ListFault::RepeatToken);
        assert!(other.contains("<NextContinuationToken>scripted</NextContinuationToken></List>"), "{other}");
        assert_eq!(other.matches("<NextContinuationToken>").count(), 1);
        let dropped = damaged(&repeated, None, &ListFault::DropToken);
        assert!(dropped.contains("true") && !dropped.contains("Token"), "{dropped}");
        assert_eq!(damaged(&repeated, None, &ListFault::Forget), PAGE);
    }

    #[test]
    fn what_is_no_page_stays() {
        for fault in [ListFault::Reverse, ListFault::Duplicate, ListFault::RepeatToken] {
            assert_eq!(damaged("rubbish", None, &fault), "rubbish");
        }
    }
}
