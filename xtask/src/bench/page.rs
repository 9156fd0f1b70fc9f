//! docs/performance.md: the parts that the bench writes, between marks, among what is kept by hand.

use super::table::GOALS;
use crate::parts::with_part;

/// The page before anything was measured.
const EMPTY: &str = "# Performance

`cargo xtask bench --write` measures each workload side by side with the tools people use today, in one run and on the
same trees, and replaces the parts between the marks below; the rest of this page is kept by hand. Every run begins after
the machine has become quiet (or a minute has passed; a run in which others used more than a third of a processor counts as
disturbed). Where a case says *fresh*, it has an empty ext4 on a loop device. Caches are warm unless a part says
otherwise. A tool that does not sync by itself is followed by `sync -f`. Memory is the largest of one process, processor
time that of all, both from `wait4` by GNU time.

## Goals

<!-- goals -->
<!-- /goals -->

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

/// The page with one part replaced, and the goals of all parts listed anew; the rest stays as it is.
pub(super) fn with_section(page: &str, id: &str, text: &str) -> String {
    let page = with_part(if page.is_empty() { EMPTY } else { page }, id, text);
    let goals = goals(&page);
    with_part(&page, "goals", &goals)
}

/// The goals of every part, each with the id of its part.
fn goals(page: &str) -> String {
    let mut list = String::from("| | goal | measured | at most | met |\n|---|---|---|---|---|\n");
    let parts = page.match_indices("<!-- W").filter_map(|(at, _)| page.get(at + 5..)?.split_once(" -->"));
    let mut parts: Vec<_> = parts.collect();
    parts.sort_unstable();
    for (id, rest) in parts {
        let part = rest.split_once("<!-- /").map_or(rest, |(part, _)| part);
        let Some((_, rows)) = part.split_once(GOALS) else { continue };
        for row in rows.lines().take_while(|row| row.starts_with('|')) {
            list.extend(["| ", id, " ", row, "\n"]);
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_goals_of_every_part_are_listed() {
        let second = format!("## Second\n\n{GOALS}| of b | 2 | 1 | **no** |\n\n| case | wall |\n");
        let page = with_section("", "W2", &second);
        let page = with_section(&page, "W1", &format!("{GOALS}| of a | 1 | 1 | yes |\n"));
        let list = "|---|---|---|---|---|\n| W1 | of a | 1 | 1 | yes |\n| W2 | of b | 2 | 1 | **no** |\n\n<!-- /goals -->";
        assert!(page.contains(list), "{page}");
        assert_eq!(with_section(&page, "W2", &second), page);
    }

    #[test]
    fn the_page_that_is_kept_lists_its_goals() {
        let page = std::fs::read_to_string(crate::shell::workspace().join(super::super::PAGE)).unwrap();
        assert!(with_part(&page, "goals", &goals(&page)) == page, "it should list\n{}", goals(&page));
    }
}
