//! `tmp.yaml`: every mistake at once, precedence, origins.

use crate::support::{Place, ran, settings};

#[test]
fn init_writes_what_is_read_and_never_overwrites() {
    let place = Place::new();
    place.ends(0, &["init", "new/place"]);
    let shown = place.json(&["config", "show", "--config", "new/place/tmp.yaml"]);
    assert_eq!(shown["schema"], "tmp.config/v1");
    assert_eq!(shown["sites"].as_array().unwrap().len(), 0);
    let before = place.read("new/place/tmp.yaml");
    assert!(place.ends(2, &["init", "new/place"]).err.contains("is there already"));
    assert_eq!(place.read("new/place/tmp.yaml"), before);
}

#[test]
fn without_any_it_is_said_where_it_was_looked_for() {
    let place = Place::new();
    let failed = place.ends(3, &["status"]);
    settings(&place).bind(|| insta::assert_snapshot!(failed.err));
}

#[test]
fn every_mistake_at_once() {
    let place = Place::new();
    place.write(
        "tmp.yaml",
        "schema: tmp/v1
state: model/state
windows:
  nightly: {from: \"23:00\", to: \"05:00\"}
policy: {commands: allowed, signatures: required}
systmes: {}
systems:
  billing:
    model:
      window: nightly
      sites:
        one: {root: model, databases: {main: {postgres: {url_env: X}}, other: {}}}
        two: {root: model/inner, work: model/inner/work, switch: atomic, quiet: {}}
",
    );
    let failed = place.ends(3, &["status"]);
    settings(&place).bind(|| insta::assert_snapshot!(failed.err));
}

#[test]
fn grants_that_grant_nothing_or_too_much_are_refused() {
    let place = Place::new();
    let with = |policy: &str, grants: &str| {
        let sites = "model: {sites: {one: {root: live}}}";
        let text = format!(
            "schema: tmp/v1\nstate: state\npolicy: {{commands: {policy}}}\nsystems:\n  billing:\n    commands: {grants}\n    {sites}\n"
        );
        place.write("tmp.yaml", &text);
        place.ends(3, &["status"]).err
    };
    let shape = with("confined", "{memory: 512MB, processes: 0, network: some, connect: [70000], run: [x]}");
    let meaning = with("confined", "{read: [''], write: [/, up/../there], network: any, connect: [5432]}");
    let unused = with("allowed", "{write: [data]}");
    settings(&place).bind(|| insta::assert_snapshot!(format!("{shape}\n{meaning}\n{unused}")));
}

#[test]
fn names_have_one_shape() {
    let place = Place::new();
    place.write(
        "tmp.yaml",
        "schema: tmp/v1\nstate: s\nsystems: {Billing: {model: {sites: {x y: {root: r}}}}}\n",
    );
    let failed = place.ends(3, &["status"]);
    settings(&place).bind(|| insta::assert_snapshot!(failed.err));
}

#[test]
fn mistakes_as_json() {
    let place = Place::new();
    place.write("tmp.yaml", "schema: tmp/v1\nstate: s\npeople: []\n");
    let failed = place.ends(3, &["status", "--json"]);
    assert!(failed.out.is_empty());
    let error: serde_json::Value = serde_json::from_str(&failed.err).unwrap();
    assert_eq!(error["schema"], "tmp.error/v1");
    assert_eq!(error["exit"], 3);
    assert_eq!(error["faults"][0]["rule"], "not-yet");
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let place = Place::billing();
    let state = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = place.command(&[&["config", "show", "--json"], arguments].concat());
        command.envs(variables.iter().copied());
        let shown: serde_json::Value = serde_json::from_str(&ran(&mut command).out).unwrap();
        let state = &shown["settings"][1];
        (state["value"].as_str().unwrap().to_owned(), state["origin"].as_str().unwrap().to_owned())
    };
    let at = |name: &str| place.path(name).display().to_string();
    assert_eq!(state(&[], &[]), (at("state"), at("tmp.yaml")));
    assert_eq!(state(&[], &[("TMP_STATE", "e")]), (at("e"), "environment, TMP_STATE".into()));
    assert_eq!(state(&["--state", "f"], &[("TMP_STATE", "e")]), (at("f"), "--state".into()));
    place.write("other.yaml", "schema: tmp/v1\nstate: o\n");
    assert_eq!(state(&[], &[("TMP_CONFIG", "other.yaml")]), (at("o"), at("other.yaml")));
    assert_eq!(state(&["--config", "tmp.yaml"], &[("TMP_CONFIG", "other.yaml")]).0, at("state"));
}

#[test]
fn it_is_found_above() {
    let place = Place::billing();
    let mut command = place.command(&["config", "show", "--origin"]);
    command.current_dir(place.path("model/bin"));
    let shown = ran(&mut command);
    settings(&place).bind(|| insta::assert_snapshot!(shown.out));
}

#[test]
fn a_site_is_named_where_there_are_several() {
    let place = Place::billing();
    let text = place.read("tmp.yaml").replace(
        "    production:",
        "        model-2: {root: second, ephemeral: true, databases: {main: {sqlite: second.db}}}\n    production:",
    );
    place.write("tmp.yaml", &text);
    let file = place.package("fee");
    assert!(place.ends(2, &["plan", &file]).err.contains("name one with --site"));
    place.ends(0, &["plan", &file, "--site", "model-1"]);
    place.ends(0, &["plan", &file, "--site", "billing/model/model-1"]);
    let mut command = place.command(&["plan", &file]);
    assert_eq!(ran(command.env("TMP_SITE", "model-1")).code, Some(0));
    assert!(place.ends(2, &["plan", &file, "--site", "hq"]).err.contains("has no site"));
}

#[test]
fn doctor_says_what_is_missing() {
    let place = Place::billing();
    let well = place.ends(0, &["doctor"]);
    assert!(well.out.contains("SQLite") && !well.out.contains("FAULT"), "{}", well.out);
    std::fs::rename(place.path("live"), place.path("gone")).unwrap();
    let ill = place.ends(5, &["doctor"]);
    assert!(ill.out.contains("FAULT  billing/production/hq"), "{}", ill.out);
}

#[test]
fn paths_are_compared_through_symlinks() {
    let place = Place::billing();
    std::os::unix::fs::symlink("model", place.path("alias")).unwrap();
    let text = place.read("tmp.yaml").replace("hq: {root: live", "hq: {root: alias/bin");
    place.write("tmp.yaml", &text);
    let failed = place.ends(3, &["status"]);
    assert!(failed.err.contains("overlap"), "{}", failed.err);
    let inside = place.read("tmp.yaml").replace("root: alias/bin", "root: live, work: live/.tmp-work");
    place.write("tmp.yaml", &inside);
    place.ends(0, &["status"]);
}
