//! The commands, one file each.

pub mod completion;
pub mod end;
pub mod end_all;
pub mod list;
pub mod service_keys;
pub mod show;
pub mod signing_keys;
pub mod stats;
pub mod validators;
pub mod watch;

use serde_json::Value;

use crate::args::{API, Command, Options};
use crate::client::{Client, Query, service_key};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::{Column, Output};

/// Carries out what was asked for.
pub async fn execute(
    options: Options,
    environment: Environment,
    output: &mut Output<'_>,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    // Needs nobody.
    if let Command::Completion(command) = &options.command {
        return command.execute(output);
    }
    let api = options.api.or(environment.api);
    let file = options.service_key_file.as_deref();
    let key = service_key(file, environment.service_key)?;
    let client = Client::new(api.as_deref().unwrap_or(API), &key)?;
    if client.is_exposed() {
        output.note("careful: the service key crosses the network in the clear; use https");
    }
    match options.command {
        Command::List(command) => command.execute(&client, output).await,
        Command::Show(command) => command.execute(&client, output).await,
        Command::End(command) => command.execute(&client, output).await,
        Command::EndAll(command) => command.execute(&client, output).await,
        Command::Stats(command) => command.execute(&client, output).await,
        Command::Watch(command) => command.execute(&client, output, stop).await,
        Command::Validators => validators::execute(&client, output).await,
        Command::ServiceKeys(command) => command.execute(&client, output).await,
        Command::SigningKeys(command) => command.execute(&client, output).await,
        Command::Completion(command) => command.execute(output),
    }
}

/// What is shown of sessions in lists.
const SESSION_COLUMNS: [Column; 6] = [
    ("ID", "/id"),
    ("STATUS", "/status"),
    ("DEVICE", "/device/label"),
    ("ADDRESS", "/network/ip"),
    ("COUNTRY", "/network/country"),
    ("LAST SEEN", "/last_seen_at"),
];

/// How many sessions the API gives to a page at most.
const PAGE: usize = 50;

/// A user's sessions, page by page, at most this many.
async fn sessions_of(
    client: &Client,
    path: &[&str],
    query: Query<'_>,
    sessions_max: usize,
) -> Result<Sessions, Failure> {
    let mut found = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let limit = PAGE.min(sessions_max - found.len()).to_string();
        let mut query = query.to_vec();
        query.push(("limit", &limit));
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let mut page = client.get(path, &query).await?;
        found.extend(taken(&mut page, "sessions")?);
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() || found.len() >= sessions_max {
            return Ok(Sessions {
                found,
                is_all: cursor.is_none(),
            });
        }
    }
}

/// Some sessions, and whether they are all there are.
struct Sessions {
    found: Vec<Value>,
    is_all: bool,
}

/// The list of that name in an answer.
fn taken(answer: &mut Value, name: &str) -> Result<Vec<Value>, Failure> {
    match answer.get_mut(name).map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        _ => Err(Failure::Unexpected(format!("it has no {name}"))),
    }
}

/// The text of that name in an answer.
fn text<'v>(answer: &'v Value, name: &str) -> Result<&'v str, Failure> {
    let found = answer.get(name).and_then(Value::as_str);
    found.ok_or_else(|| Failure::Unexpected(format!("it has no {name}")))
}
