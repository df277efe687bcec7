//! What people and programs get to see. No colours: an operator's log or a pipe gets what a
//! terminal gets, and nothing is said by colour alone.

use std::io::Write;

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Table};
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
        let widths = table.column_max_content_widths();
        for (number, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            // Ids stay whole, for somebody copies them; short words, for nothing is won.
            if number == 0
                || widths
                    .get(number)
                    .is_some_and(|width| *width <= WORD_CHARS_MAX)
            {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        let mut text = String::new();
        for line in table.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        self.bytes(text.as_bytes())
    }
}

/// Columns of words up to this length aren't narrowed.
const WORD_CHARS_MAX: u16 = 8;

/// Shown where there is no value.
const ABSENT: &str = "-";

/// The value at a place in a row, as people read it.
pub fn field(row: &Value, at: &str) -> String {
    let is_moment = at.ends_with("_at") || at.ends_with("_time");
    match row.pointer(at) {
        Some(Value::String(text)) if is_moment => moment(text),
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

/// A moment to the second: `2026-01-31T12:00:00.123456Z` is shown as `2026-01-31 12:00:00Z`, which
/// a narrow column may break in two. Programs are given it whole.
fn moment(text: &str) -> String {
    let second = text.get(..19).filter(|_| text.ends_with('Z'));
    second.map_or_else(
        || text.to_owned(),
        |second| format!("{}Z", second.replacen('T', " ", 1)),
    )
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
    fn columns_stand_below_each_other_and_only_a_terminal_breaks_lines() {
        let rows = [
            json!({ "id": "1", "device": { "label": "Firefox on Linux" } }),
            json!({ "id": "a-long-identifier", "device": { "label": null } }),
        ];
        let columns = [("ID", "/id"), ("DEVICE", "/device/label")];
        let shown = |width| shown(width, |output| output.rows(&rows, &columns, "").unwrap());
        let text = shown(None);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "ID                 DEVICE");
        assert_eq!(lines[1], "1                  Firefox on Linux");
        assert_eq!(lines[2], "a-long-identifier  -");
        let text = shown(Some(30));
        assert!(
            text.lines().all(|line| line.chars().count() <= 30),
            "{text}"
        );
        assert!(
            text.lines().count() > 3 && text.contains("a-long-identifier"),
            "{text}"
        );
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        let text = shown(None, |output| {
            output.rows(&[], &[("ID", "/id")], "None.").unwrap();
        });
        assert_eq!(text, "None.\n");
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
        for (given, shown) in [
            ("2026-01-31T12:00:00.123456Z", "2026-01-31 12:00:00Z"),
            ("2026-01-31T12:00:00Z", "2026-01-31 12:00:00Z"),
            ("in the year dot", "in the year dot"),
        ] {
            assert_eq!(field(&json!({ "seen_at": given }), "/seen_at"), shown);
        }
    }
}
