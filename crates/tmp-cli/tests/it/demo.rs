//! The demonstration, as a newcomer runs it.

use std::time::{Duration, Instant};

use crate::support::Place;

#[test]
fn every_scene_comes_out_as_it_must() {
    let place = Place::new();
    let since = Instant::now();
    let ran = place.ends(0, &["demo"]);
    let took = since.elapsed();
    assert_eq!(ran.out.matches("IDENTICAL").count(), 4, "{}", ran.out);
    assert_eq!(ran.out.matches("exit code 10").count(), 4, "{}", ran.out);
    assert!(ran.out.contains("in late fees"), "{}", ran.out);
    assert!(!ran.out.contains("NOT WHAT"), "{}", ran.out);
    assert!(took < Duration::from_mins(1), "{took:?}");
    let itself = env!("CARGO_BIN_EXE_tmp");
    let next = format!("{itself} history\n");
    assert!(ran.out.contains(&format!("  {next}")), "{}", ran.out);
    for (name, text) in
        [("README.txt", next.as_str()), ("enhancements/late-fee/enhancement.yaml", "id: late-fee")]
    {
        assert!(place.read(&format!("tmp-demo/{name}")).contains(text), "{name}");
    }
    let past = place.json(&["history", "--config", "tmp-demo/tmp.yaml"]);
    let phases: Vec<_> =
        past["migrations"].as_array().unwrap().iter().map(|one| one["phase"].as_str().unwrap()).collect();
    assert_eq!(phases, ["cleaned_up", "rolled_back", "rolled_back", "rolled_back", "rolled_back"]);
}

#[test]
fn a_folder_in_use_is_left_alone() {
    let place = Place::new();
    place.write("tmp-demo/mine", "precious");
    let ran = place.ends(2, &["demo"]);
    assert!(ran.err.contains("not empty"), "{}", ran.err);
    assert_eq!(place.read("tmp-demo/mine"), "precious");
    assert!(!place.path("tmp-demo/tmp.yaml").exists());
}
