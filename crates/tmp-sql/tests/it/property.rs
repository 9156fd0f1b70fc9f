//! Whatever scripts do, both ways back lead to what was there.

use proptest::prelude::*;
use tmp_core::database::{Database as _, Undone};

use crate::support::{MODES, Mode, Shop, marker, text};

fn statement() -> impl Strategy<Value = String> {
    let table = prop_oneof![Just("customer"), Just("invoice"), Just("extra")];
    prop_oneof![
        (0..50_i64).prop_map(|n| format!("INSERT INTO customer(name, city) VALUES ('n{n}', x'{n:02}')")),
        (0..4_i64, any::<i64>())
            .prop_map(|(id, n)| format!("UPDATE invoice SET note = '{n}' WHERE id = {id}")),
        (table.clone(), 0..5_i64).prop_map(|(table, id)| format!("DELETE FROM {table} WHERE id = {id}")),
        Just("CREATE TABLE IF NOT EXISTS extra(id INTEGER PRIMARY KEY AUTOINCREMENT, x REAL)".to_owned()),
        (0..9_i64).prop_map(|n| format!("INSERT INTO extra(x) VALUES ({n}.5), (NULL)")),
        (table.clone(), 0..3_u8)
            .prop_map(|(table, n)| format!("ALTER TABLE {table} ADD COLUMN c{n} DEFAULT {n}")),
        (table.clone(), 0..3_u8).prop_map(|(table, n)| format!("ALTER TABLE {table} DROP COLUMN c{n}")),
        (table.clone(), 0..3_u8).prop_map(|(table, n)| format!("CREATE INDEX i{n} ON {table}(id)")),
        (table.clone(), 0..2_u8).prop_map(|(table, n)| format!("ALTER TABLE {table} RENAME TO renamed{n}")),
        table.prop_map(|table| format!("DROP TABLE {table}")),
        (0..9_u8).prop_map(|n| format!("PRAGMA user_version = {n}")),
        Just("UPDATE customer SET city = hex(randomblob(3000))".to_owned()),
        Just("DROP VIEW total".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_way_back_leads_to_what_was_there(
        statements in prop::collection::vec(statement(), 0..12),
        wal in any::<bool>(),
    ) {
        let shop = Shop::new(MODES[usize::from(wal)]);
        let (bytes, dump) = (shop.bytes(), shop.dump());
        let mut target = shop.target();
        target.copy_to(&shop.path("copy.db")).unwrap();
        let before = target.begin().unwrap();
        for sql in &statements {
            // A statement that fails is taken back by itself; the engine would stop here.
            let _ = target.apply(&text(sql));
        }
        target.abandon().unwrap();
        prop_assert_eq!(&target.fingerprint().unwrap(), &before);
        target.release();
        if shop.mode == Mode::Delete {
            prop_assert!(shop.bytes() == bytes, "not the same bytes after {:?}", statements);
        }
        prop_assert_eq!(&shop.dump(), &dump);

        target.copy_to(&shop.path("copy2.db")).unwrap();
        target.begin().unwrap();
        for sql in &statements {
            let _ = target.apply(&text(sql));
        }
        if target.mark(&marker(1)).is_err() {
            target.abandon().unwrap();
            return Ok(());
        }
        let committed = target.fingerprint().unwrap();
        target.commit().unwrap();
        let changed = shop.dump();
        prop_assert_eq!(before == committed, dump == changed, "the two comparisons agree: {:?}", statements);
        prop_assert_eq!(target.restore_from(&shop.path("copy.db"), &marker(1), &committed).unwrap(), Undone::Exact);
        prop_assert_eq!(&target.fingerprint().unwrap(), &before);
        target.release();
        prop_assert_eq!(&shop.dump(), &dump);
    }
}
