//! Checks by HTTP.

use std::time::Duration;

use ureq::Agent;

/// How long one request may take at most.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks for `url` once, within the time that is left. `Err` says what came instead of `status`.
pub(crate) fn get(url: &str, status: u16, left: Duration) -> Result<(), String> {
    let config = Agent::config_builder()
        .timeout_global(Some(TIMEOUT.min(left)))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .build();
    match Agent::new_with_config(config).get(url).call() {
        Ok(response) if response.status().as_u16() == status => Ok(()),
        Ok(response) => Err(format!("{url} answered {} instead of {status}", response.status().as_u16())),
        Err(error) => Err(format!("{url} did not answer: {error}")),
    }
}
