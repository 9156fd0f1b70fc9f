//! `tmp schema`: JSON Schemas for editors.

use serde_json::Value;
use tmp_trigger::document::schema_of;

use crate::{config::schema::TmpYaml, exit::Exit, failure::Failure, output::Output};

/// Arguments of `tmp schema`.
#[derive(Debug, clap::Args)]
pub(crate) struct Schema {
    /// Which file: enhancement, trigger or config (tmp.yaml)
    #[arg(default_value = "enhancement")]
    name: String,
}

impl Schema {
    /// Prints the schema.
    pub(crate) fn run(&self, out: &mut Output) -> Result<Exit, Failure> {
        let schema: Option<Value> = if self.name == "config" {
            Some(schema_of::<TmpYaml>())
        } else {
            tmp_trigger::schema(&self.name)
        };
        let Some(schema) = schema else {
            let message = format!("there is no schema {:?}", self.name);
            return Err(Failure::new(Exit::Usage, message).help("there are: enhancement, trigger, config"));
        };
        out.data(&format!("{schema:#}\n"));
        Ok(Exit::Done)
    }
}
