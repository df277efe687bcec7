//! What people and programs get to see. No colours: an operator's log or a pipe gets what a
//! terminal gets, and nothing is said by colour alone.

use std::io::Write;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde_json::Value;

use crate::failure::Failure;

/// Where it goes, and how.
pub struct Output<'w> {
    out: &'w mut dyn Write,
    err: &'w mut dyn Write,
    json: bool,
    width: Option<u16>,
}

/// A column: its heading, and where in each row's JSON its values are (RFC 6901).
pub type Column = (&'static str, &'static str);

impl<'w> Output<'w> {
    pub const fn new(
        out: &'w mut dyn Write,
        err: &'w mut dyn Write,
        json: bool,
        width: Option<u16>,
    ) -> Self {
        Self {
            out,
            err,
            json,
            width,
        }
    }

    /// Whether programs read this.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// An answer as the API gave it.
    pub fn json(&mut self, value: &Value) -> Result<(), Failure> {
        self.bytes(format!("{}\n", printable_json(&format!("{value:#}"))).as_bytes())
    }

    /// One of many answers, on a line of its own.
    pub fn json_line(&mut self, value: &Value) -> Result<(), Failure> {
        self.bytes(format!("{}\n", printable_json(&value.to_string())).as_bytes())
    }

    /// A line for people.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.bytes(format!("{}\n", clean(text)).as_bytes())
    }

    /// Bytes of our own making, as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.write_all(bytes)?;
        // Whoever watches wants to see it now.
        self.out.flush()?;
        Ok(())
    }

    /// Something beside the answer.
    pub fn note(&mut self, text: &str) {
        // There is nobody left to tell.
        let _ = writeln!(self.err, "sessionctl: {}", clean(text));
    }

    /// What went wrong. A reader who left early isn't told: that is how they end it.
    pub fn failure(&mut self, failure: &Failure) {
        let is_broken_pipe = matches!(failure, Failure::Output(error)
            if error.kind() == std::io::ErrorKind::BrokenPipe);
        if !is_broken_pipe {
            self.note(&failure.to_string());
        }
    }

    /// Rows for people, or `none` where there aren't any.
    pub fn rows(&mut self, rows: &[Value], columns: &[Column], none: &str) -> Result<(), Failure> {
        if rows.is_empty() {
            return self.line(none);
        }
        let headings = columns.iter().map(|(heading, _)| (*heading).to_owned());
        let lines = rows
            .iter()
            .map(|row| columns.iter().map(|(_, at)| field(row, at)).collect());
        self.table(std::iter::once(headings.collect()).chain(lines))
    }

    /// One thing for people, a line for each of its properties that has a value.
    pub fn properties(&mut self, value: &Value, properties: &[Column]) -> Result<(), Failure> {
        let lines = properties
            .iter()
            .map(|(name, at)| vec![(*name).to_owned(), field(value, at)])
            .filter(|line| line[1] != ABSENT);
        self.table(lines)
    }

    /// Columns below each other, wrapped where the terminal is too narrow.
    pub fn table(&mut self, lines: impl Iterator<Item = Vec<String>>) -> Result<(), Failure> {
        let mut table = Table::new();
        table.load_style(NOTHING);
        match self.width {
            Some(width) => {
                table.set_content_arrangement(ContentArrangement::Dynamic);
                table.set_width(width);
            }
            // A line of output is a line: that is what `grep` wants.
            None => {
                table.set_content_arrangement(ContentArrangement::Disabled);
            }
        }
        table.add_rows(lines.map(|line| line.into_iter().map(|cell| clean(&cell))));
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let mut text = String::new();
        for line in table.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        self.bytes(text.as_bytes())
    }
}

/// Shown where there is no value.
const ABSENT: &str = "-";

/// The value at a place in a row, as people read it.
pub fn field(row: &Value, at: &str) -> String {
    match row.pointer(at) {
        None | Some(Value::Null) => ABSENT.to_owned(),
        Some(Value::String(text)) if text.is_empty() => ABSENT.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) if items.is_empty() => ABSENT.to_owned(),
        Some(Value::Array(items)) => {
            let items = items.iter().map(|item| field(item, ""));
            items.collect::<Vec<_>>().join(",")
        }
        Some(Value::Object(map)) if map.is_empty() => ABSENT.to_owned(),
        Some(value @ (Value::Bool(_) | Value::Number(_) | Value::Object(_))) => value.to_string(),
    }
}

/// What could move a terminal's cursor, recolour it, or turn text around so that it reads as
/// something else, is shown as a replacement. Device names and user agents are written by whoever
/// signs in.
fn clean(text: &str) -> String {
    let lines = text.chars();
    lines
        .map(|c| if is_unsafe(c) { '\u{fffd}' } else { c })
        .collect()
}

fn is_unsafe(c: char) -> bool {
    let turns_text =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (c.is_control() && c != '\n') || turns_text
}

/// JSON that says the same without anything a terminal obeys: such characters are only ever within
/// strings, where they may be written as escapes.
fn printable_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if is_unsafe(c) {
            // All of them are below U+10000.
            text.extend(format!("\\u{:04x}", u32::from(c)).chars());
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(width: Option<u16>, show: impl FnOnce(&mut Output<'_>)) -> String {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        show(&mut Output::new(&mut out, &mut err, false, width));
        assert!(err.is_empty());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_stand_below_each_other_and_long_lines_stay_lines() {
        let rows = [
            json!({ "id": "1", "device": { "label": "Firefox on Linux" } }),
            json!({ "id": "22", "device": { "label": null } }),
        ];
        let columns = [("ID", "/id"), ("DEVICE", "/device/label")];
        let text = shown(None, |output| output.rows(&rows, &columns, "").unwrap());
        assert_eq!(text, "ID  DEVICE\n1   Firefox on Linux\n22  -\n");
        let text = shown(Some(14), |output| output.rows(&rows, &columns, "").unwrap());
        assert!(
            text.lines().all(|line| line.chars().count() <= 14),
            "{text}"
        );
        assert_eq!(
            shown(None, |output| output.rows(&[], &columns, "none").unwrap()),
            "none\n"
        );
    }

    #[test]
    fn what_users_wrote_moves_no_cursor() {
        let evil = "\u{1b}[2J\u{9b}31m\u{202e}gnp.exe\r\t";
        let rows = [json!({ "id": evil })];
        let text = shown(None, |output| {
            output.rows(&rows, &[("ID", "/id")], "").unwrap();
        });
        assert!(
            !text.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\r', '\t']),
            "{text:?}"
        );
        let text = shown(None, |output| output.json(&rows[0]).unwrap());
        assert!(
            !text.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\r', '\t']),
            "{text:?}"
        );
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read, rows[0], "and programs read what it was");
    }

    #[test]
    fn values_read_as_people_write_them() {
        let row = json!({ "a": [], "b": ["pwd", "otp"], "c": true, "d": 3, "e": "", "f": {} });
        let read = ["/a", "/b", "/c", "/d", "/e", "/f", "/g"].map(|at| field(&row, at));
        assert_eq!(read, ["-", "pwd,otp", "true", "3", "-", "-", "-"]);
    }
}
