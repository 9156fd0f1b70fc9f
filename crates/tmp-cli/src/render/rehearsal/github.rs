//! Annotations of GitHub Actions:
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>.

use super::{Rehearsed, lines};

/// One line for each finding, and one for each step that was left out.
pub(super) fn report(rehearsed: &Rehearsed) -> String {
    let proof = &rehearsed.proof;
    let mut text = String::new();
    for part in &proof.parts {
        for finding in &part.findings {
            let mut place = String::new();
            if let Some(at) = &finding.at {
                let file = rehearsed.folder.join(&at.script);
                push!(place, "file={},line={},", property(file.as_str()), at.line);
            }
            let title = property(&format!("{}: {}", part.name, finding.class.as_str()));
            push!(text, "::error {place}title={title}::{}\n", data(&lines(finding).join("\n")));
        }
    }
    for left in &proof.not_rehearsed {
        let title = property(&format!("{}: not rehearsed", left.step));
        push!(text, "::notice title={title}::{}\n", data(&left.why));
    }
    if proof.is_proven() {
        push!(
            text,
            "::notice title=rehearsal::{}\n",
            data(&format!("the way back of {} is proven", rehearsed.title()))
        );
    }
    text
}

/// A text as it may stand after the `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A text as it may stand as the value of a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::{data, property};

    #[test]
    fn nothing_ends_a_line_or_a_property() {
        assert_eq!(data("50 %\n::error::x\r"), "50 %25%0A::error::x%0D");
        assert_eq!(property("a:b,c%\n"), "a%3Ab%2Cc%25%0A");
    }
}
