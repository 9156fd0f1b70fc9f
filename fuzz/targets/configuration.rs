//! `tmp.yaml`, by the type that the command line reads it into.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tmp_trigger::document::Document;

#[path = "../../crates/tmp-cli/src/config/schema.rs"]
#[expect(dead_code, reason = "only reading is tried")]
mod schema;

fuzz_target!(|input: &[u8]| {
    let stand_in = serde_json::json!({ "schema": "tmp/v1", "state": "state" });
    match Document::<schema::TmpYaml>::read("tmp.yaml", input, &[], &stand_in).finish(Vec::new()) {
        Ok(_) => {}
        Err(mistakes) => assert!(!mistakes.to_string().is_empty(), "refused without a reason"),
    }
});
