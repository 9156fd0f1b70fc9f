//! The same changes as each tool wants them.

use std::{fmt::Write as _, fs, path::Path};

use super::changes::Change;
use crate::Done;

/// Writes the changes below `folder`: `plain`, `one` and `each` (enhancements), and a folder for each tool.
pub(super) fn write(folder: &Path, changes: &[Change]) -> Done {
    let file = |path: &str, text: &str| -> Done {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        Ok(fs::write(path, text)?)
    };
    let mut all = enhancement("one");
    let mut plan = "%syntax-version=1.0.0\n%project=t\n\n".to_owned();
    for (number, Change { name, up, down }) in changes.iter().enumerate() {
        let digits = number + 1;
        file(&format!("plain/{name}.up.sql"), up)?;
        file(&format!("plain/{name}.down.sql"), down)?;
        all += &step(name);
        file(&format!("each/e{name}/enhancement.yaml"), &(enhancement(&format!("e{name}")) + &step(name)))?;
        for dir in ["one".to_owned(), format!("each/e{name}")] {
            file(&format!("{dir}/sql/{name}.up.sql"), up)?;
            file(&format!("{dir}/sql/{name}.down.sql"), down)?;
        }
        file(&format!("sqlx/{digits}_c.up.sql"), up)?;
        file(&format!("sqlx/{digits}_c.down.sql"), down)?;
        file(&format!("refinery/V{digits}__c.sql"), up)?;
        file(
            &format!("dbmate/20240101{digits:06}_c.sql"),
            &format!("-- migrate:up\n{up}\n-- migrate:down\n{down}"),
        )?;
        file(&format!("yoyo/{name}.sql"), up)?;
        file(&format!("yoyo/{name}.rollback.sql"), down)?;
        file(&format!("sqitch/deploy/c{name}.sql"), &format!("BEGIN;\n{up}COMMIT;\n"))?;
        file(&format!("sqitch/revert/c{name}.sql"), &format!("BEGIN;\n{down}COMMIT;\n"))?;
        // Writing to a String cannot fail.
        let (hour, minute) = (digits / 60, digits % 60);
        let _ =
            writeln!(plan, "c{name} 2024-01-01T{hour:02}:{minute:02}:00Z bench <bench@example.org> # {name}");
        file(&format!("alembic/versions/r{digits}.py"), &revision(digits, up, down))?;
    }
    file("one/enhancement.yaml", &all)?;
    file("sqitch/sqitch.plan", &plan)?;
    file("sqitch/sqitch.conf", "[core]\n    engine = sqlite\n[deploy]\n    verify = false\n")?;
    file("alembic/env.py", ENVIRONMENT)?;
    file("alembic.ini", "[alembic]\nscript_location = %(here)s/alembic\n")
}

fn enhancement(id: &str) -> String {
    format!(
        "schema: tmp/enhancement/v1\nid: {id}\nrevision: 1\ntitle: Changes\nsystem: real\n\
         developer: {{name: bench, email: bench@example.org}}\ndatabases: {{main: {{engine: sqlite}}}}\nsql:\n"
    )
}

fn step(name: &str) -> String {
    format!(
        "  - {{name: c{name}, database: main, apply: sql/{name}.up.sql, rollback: sql/{name}.down.sql}}\n"
    )
}

/// A revision of Alembic: one call for each statement.
fn revision(number: usize, up: &str, down: &str) -> String {
    let calls = |text: &str| {
        text.split_terminator(";\n").fold(String::new(), |calls, statement| {
            format!("{calls}    op.execute(\"\"\"{statement}\"\"\")\n")
        })
    };
    let before = if number > 1 { format!("'r{}'", number - 1) } else { "None".to_owned() };
    format!(
        "from alembic import op\nrevision = 'r{number}'\ndown_revision = {before}\nbranch_labels = None\ndepends_on = None\n\
         def upgrade():\n{}def downgrade():\n{}",
        calls(up),
        calls(down)
    )
}

/// One transaction for each revision.
const ENVIRONMENT: &str = "import os
from alembic import context
from sqlalchemy import create_engine, pool
engine = create_engine(os.environ['DBURL'], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
";
