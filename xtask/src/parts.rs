//! Parts of a page that a task writes, between marks, among what others write.

/// The page with one part replaced, or added at its end.
pub(crate) fn with_part(page: &str, id: &str, text: &str) -> String {
    let (begin, end) = marks(id);
    let text = text.trim();
    let head = page.split_once(&begin).map(|(head, _)| head);
    let rest = page.split_once(&end).map(|(_, rest)| rest);
    match head.zip(rest) {
        Some((head, rest)) => format!("{head}{begin}\n{text}\n\n{end}{rest}"),
        None => format!("{page}\n{begin}\n{text}\n\n{end}"),
    }
}

/// What a part holds; nothing where there is no such part.
pub(crate) fn part<'a>(page: &'a str, id: &str) -> &'a str {
    let (begin, end) = marks(id);
    let rest = page.split_once(&begin).map(|(_, rest)| rest);
    rest.and_then(|rest| rest.split_once(&end)).map_or("", |(part, _)| part.trim())
}

fn marks(id: &str) -> (String, String) {
    (format!("<!-- {id} -->\n"), format!("<!-- /{id} -->\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_replaced_and_the_rest_stays() {
        let page = with_part("# Mine\n", "W4", "first\n") + "By hand.\n";
        assert_eq!(page, "# Mine\n\n<!-- W4 -->\n\nfirst\n\n<!-- /W4 -->\nBy hand.\n");
        let again = with_part(&page, "W4", "second");
        assert_eq!(again, page.replace("first", "second"));
        assert_eq!((part(&again, "W4"), part(&again, "W5")), ("second", ""));
    }
}
