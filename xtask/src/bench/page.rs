//! docs/performance.md: the parts that the bench writes, between marks, among what is kept by hand.

/// The page before anything was measured.
const EMPTY: &str = "# Performance

`cargo xtask bench --write` measures each workload side by side with the tools people use today, in one run and on the
same trees, and replaces the parts between the marks below; the rest of this page is kept by hand. Every run begins after
the machine has become quiet (or a minute has passed; a run in which others used more than a third of a processor counts as
disturbed). Where a case says *fresh*, it has an empty ext4 on a loop device. Caches are warm unless a part says
otherwise. A tool that does not sync by itself is followed by `sync -f`. Memory is the largest of one process, processor
time that of all, both from `wait4` by GNU time.

<!-- machine -->
<!-- /machine -->

<!-- W1 -->
<!-- /W1 -->

<!-- W2 -->
<!-- /W2 -->

<!-- W3 -->
<!-- /W3 -->

<!-- W4 -->
<!-- /W4 -->

<!-- W5 -->
<!-- /W5 -->

<!-- W6 -->
<!-- /W6 -->

<!-- W7 -->
<!-- /W7 -->

<!-- W8 -->
<!-- /W8 -->

<!-- W9 -->
<!-- /W9 -->

## Where the time goes
";

/// The page with one part replaced; the rest stays as it is.
pub(super) fn with_part(page: &str, id: &str, text: &str) -> String {
    let page = if page.is_empty() { EMPTY } else { page };
    let (begin, end) = (format!("<!-- {id} -->\n"), format!("<!-- /{id} -->\n"));
    let text = text.trim_end();
    let head = page.split_once(&begin).map(|(head, _)| head);
    let rest = page.split_once(&end).map(|(_, rest)| rest);
    match head.zip(rest) {
        Some((head, rest)) => format!("{head}{begin}\n{text}\n\n{end}{rest}"),
        None => format!("{page}\n{begin}\n{text}\n\n{end}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_replaced_and_the_rest_stays() {
        let page = with_part("", "W4", "first") + "By hand.\n";
        let again = with_part(&page, "W4", "second\n");
        assert_eq!(again, page.replace("first", "second"));
        assert!(again.ends_with("By hand.\n") && again.contains("<!-- W4 -->\n\nsecond\n\n<!-- /W4 -->\n"));
        assert!(with_part("# Mine\n", "W1", "x").ends_with("<!-- W1 -->\n\nx\n\n<!-- /W1 -->\n"));
    }
}
