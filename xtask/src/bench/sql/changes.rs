//! Small changes of the kind that systems get every week, each with its way back.

use std::fmt::Write as _;

/// A change.
pub(super) struct Change {
    /// Its number, four digits, and what it does: sorts as it is applied.
    pub(super) name: String,
    pub(super) up: String,
    pub(super) down: String,
}

/// So many changes: for every five a table, two columns, an index, twenty rows and a view.
pub(super) fn changes(count: usize) -> Vec<Change> {
    (0..count).map(change).collect()
}

fn change(number: usize) -> Change {
    let table = format!("account_{:03}", number - number % 5);
    let (what, up, down) = match number % 5 {
        0 => (
            "create",
            format!(
                "CREATE TABLE {table} (\n  id INTEGER PRIMARY KEY,\n  tenant_id INTEGER NOT NULL,\n  name VARCHAR(120) NOT NULL,\n  \
                 email VARCHAR(200),\n  amount NUMERIC(12,2) NOT NULL DEFAULT 0,\n  created_at TIMESTAMP NOT NULL DEFAULT '2024-01-01',\n  \
                 CONSTRAINT uq_{table} UNIQUE (tenant_id, name)\n);"
            ),
            format!("DROP TABLE {table};"),
        ),
        1 => (
            "columns",
            format!(
                "ALTER TABLE {table} ADD COLUMN note TEXT;\nALTER TABLE {table} ADD COLUMN status VARCHAR(16) NOT NULL DEFAULT 'new';"
            ),
            format!("ALTER TABLE {table} DROP COLUMN status;\nALTER TABLE {table} DROP COLUMN note;"),
        ),
        2 => (
            "index",
            format!("CREATE INDEX ix_{table}_email ON {table} (email);"),
            format!("DROP INDEX ix_{table}_email;"),
        ),
        3 => (
            "seed",
            format!(
                "INSERT INTO {table} (id, tenant_id, name, email, amount) VALUES\n{};\nUPDATE {table} SET status = 'active' WHERE amount > 10;",
                rows()
            ),
            format!("DELETE FROM {table} WHERE id <= 20;"),
        ),
        _ => (
            "view",
            format!("CREATE VIEW v_{table} AS SELECT id, name, amount FROM {table} WHERE status = 'active';"),
            format!("DROP VIEW v_{table};"),
        ),
    };
    Change { name: format!("{:04}-{what}", number + 1), up: up + "\n", down: down + "\n" }
}

fn rows() -> String {
    let mut text = String::new();
    for row in 1..=20 {
        let end = if row == 20 { "" } else { ",\n" };
        // Writing to a String cannot fail.
        let _ = write!(text, "  ({row}, {}, 'name {row}', 'u{row}@example.org', {row}.50){end}", row % 3);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_has_a_way_back() {
        let made = changes(10);
        assert_eq!(made.len(), 10);
        assert_eq!(made[9].name, "0010-view");
        assert!(made.iter().all(|change| change.up.ends_with(";\n") && change.down.ends_with(";\n")));
        assert!(made[5].up.contains("account_005") && made[9].down.contains("v_account_005"));
    }
}
