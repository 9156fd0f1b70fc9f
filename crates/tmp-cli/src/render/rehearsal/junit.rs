//! `JUnit` XML, as continuous integration shows it: <https://github.com/testmoapp/junitxml>.

use tmp_migrate::rehearse::Verdict;

use super::{Rehearsed, lines};

/// One suite with a case for each part and for each step that was left out.
pub(super) fn report(rehearsed: &Rehearsed) -> String {
    let proof = &rehearsed.proof;
    let count = |verdict: Verdict| proof.parts.iter().filter(|part| part.verdict == verdict).count();
    let (failures, unreached) = (count(Verdict::NotProven), count(Verdict::NotReached));
    let tests = proof.parts.len() + proof.not_rehearsed.len();
    let skipped = unreached + proof.not_rehearsed.len();
    let name = escaped(&rehearsed.title());
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let figures = format!("tests=\"{tests}\" failures=\"{failures}\"");
    let time = seconds(proof.took_ms);
    push!(xml, "<testsuites name=\"tmp rehearse\" {figures} time=\"{time}\">\n");
    push!(xml, "  <testsuite name=\"{name}\" {figures} skipped=\"{skipped}\" time=\"{time}\">\n");
    for part in &proof.parts {
        let (case, time) = (escaped(&part.name), seconds(part.took_ms));
        push!(xml, "    <testcase name=\"{case}\" classname=\"{name}\" time=\"{time}\">\n");
        if part.verdict == Verdict::NotReached {
            xml.push_str("      <skipped message=\"not reached\"/>\n");
        }
        if let Some(first) = part.findings.first() {
            let (class, message) = (first.class.as_str(), escaped(&first.message));
            let text = part.findings.iter().flat_map(lines).collect::<Vec<_>>().join("\n");
            let text = escaped(&text);
            push!(xml, "      <failure type=\"{class}\" message=\"{message}\">{text}</failure>\n");
        }
        xml.push_str("    </testcase>\n");
    }
    for left in &proof.not_rehearsed {
        let (case, why) = (escaped(&left.step), escaped(&left.why));
        push!(xml, "    <testcase name=\"{case}\" classname=\"{name}\" time=\"0.000\">\n");
        push!(xml, "      <skipped message=\"{why}\"/>\n    </testcase>\n");
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

/// A text as it may stand in an element or an attribute. Characters that XML 1.0 has no place for become
/// U+FFFD.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn nothing_leaves_its_element_or_attribute() {
        assert_eq!(escaped("a<b>&\"'\n\u{1}]]>"), "a&lt;b&gt;&amp;&quot;&apos;&#10;\u{fffd}]]&gt;");
    }
}
