//! Numbers, times and tables as people read them.

pub(crate) mod diff;
pub(crate) mod outcome;
pub(crate) mod plan;
pub(crate) mod rehearsal;
pub(crate) mod series;
pub(crate) mod steps;

use camino::Utf8PathBuf;
use comfy_table::{Table, TableStyle};
use time::{OffsetDateTime, UtcOffset, macros::format_description};
use tmp_core::{
    Phase,
    plan::{Confinement, Network},
};
use tmp_migrate::MigrationSummary;
use tmp_trigger::source::{Label, LabelState};

/// Bytes in the largest unit that keeps a digit before the point.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut tenths = count.saturating_mul(10) / 1024;
    if count > u64::MAX / 10 {
        tenths = count / 1024 * 10;
    }
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    let name = UNITS.get(unit).unwrap_or(&"B");
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

/// `1 module`, `2 modules`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A source-control label on one line; `None` where it says nothing.
pub(crate) fn label(label: &Label) -> Option<String> {
    let state = label.state.map(|state| match state {
        LabelState::Clean => "clean".to_owned(),
        LabelState::Dirty => "dirty".to_owned(),
    });
    let said = [&label.repository, &label.tag, &label.commit, &state];
    let said: Vec<_> = said.into_iter().flatten().map(String::as_str).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

/// What became of a migration, in an operator's word.
pub(crate) fn standing(summary: &MigrationSummary) -> &'static str {
    match (phase(summary.phase), &summary.reverses, &summary.reversed_by) {
        ("migrated", Some(_), _) => "reversal",
        ("migrated", None, Some(_)) => "reversed",
        (phase, ..) => phase,
    }
}

/// Where a migration is, in an operator's word: whether what a committed one parked is removed yet is
/// nothing to act on.
pub(crate) const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Committed | Phase::CleanedUp => "migrated",
        other => other.as_str(),
    }
}

/// `1 entry`, `2 entries`.
pub(crate) fn entries(number: u64) -> String {
    if number == 1 { "1 entry".into() } else { format!("{number} entries") }
}

/// A duration in milliseconds.
pub(crate) fn milliseconds(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1000),
    }
}

/// A duration in microseconds.
pub(crate) fn microseconds(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{}.{} ms", us / 1000, us % 1000 / 100),
        _ => milliseconds(us / 1000),
    }
}

/// An instant, to the second, in UTC.
pub(crate) fn instant(at: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");
    at.to_offset(UtcOffset::UTC).format(format).unwrap_or_else(|_| at.unix_timestamp().to_string())
}

/// Rows under a header, without lines.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_header(header);
    rows.into_iter().for_each(|row| {
        table.add_row(row);
    });
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    let mut text = String::new();
    for line in table.lines() {
        push!(text, "{}\n", line.trim_end());
    }
    text
}

/// Every line of `text` behind `by`.
pub(crate) fn indent(text: &str, by: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("{by}{line}\n") }).collect()
}

/// What confined commands may use, in words.
pub(crate) fn confinement(granted: &Confinement) -> String {
    let paths = |what: &str, paths: &[Utf8PathBuf]| {
        let paths: Vec<&str> = paths.iter().map(|path| path.as_str()).collect();
        if paths.is_empty() { String::new() } else { format!("; {what} {}", paths.join(", ")) }
    };
    let network = match &granted.network {
        Network::None => "no network".to_owned(),
        Network::Connect(ports) => {
            let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
            format!("TCP to port {} and UDP", ports.join(", "))
        }
        Network::Any => "any network".into(),
    };
    format!(
        "write the root and a temporary directory{}; read the system{}; {network}; {} of memory; {} processes \
         (Landlock {})",
        paths("write", &granted.write),
        paths("read", &granted.read),
        bytes(granted.memory),
        granted.processes,
        granted.landlock
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(1024 * 1024), "1.0 MiB");
        assert_eq!(bytes(u64::MAX), "15.9 EiB");
        assert_eq!(milliseconds(999), "999 ms");
        assert_eq!(milliseconds(1_250), "1.2 s");
        assert_eq!(milliseconds(61_000), "1 min 1 s");
        assert_eq!(microseconds(640), "640 µs");
        assert_eq!(microseconds(6_400), "6.4 ms");
        assert_eq!(count(1, "module") + &count(2, "module"), "1 module2 modules");
        assert_eq!(instant(OffsetDateTime::UNIX_EPOCH), "1970-01-01 00:00:00Z");
    }
}
