use std::fmt::Write;

use super::Field;

/// The configuration in effect, as TOML with a note of each value's origin; secrets masked.
pub fn print_config(fields: &[Field]) -> String {
    let mut text = String::new();
    for field in fields {
        let line = match &field.effective {
            Some(value) => format!("{} = {}", field.name, quoted(value)),
            None => format!("# {} =", field.name),
        };
        // Writing to a String can't fail.
        let _ = writeln!(text, "{line} # {}", field.origin);
    }
    text
}

/// A TOML basic string.
fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => {
                text.push('\\');
                text.push(c);
            }
            c if c.is_control() => {
                let _ = write!(text, "\\U{:08X}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

/// The table of fields for the documentation, in Markdown, in the order of reading.
pub fn docs_table(fields: &[Field]) -> String {
    let mut text = String::from("| field | environment | default | meaning |\n|---|---|---|---|\n");
    for field in fields {
        let default = match &field.default {
            Some(default) if default.is_empty() => "empty".to_owned(),
            Some(default) => format!("`{default}`"),
            None if field.required => "required".to_owned(),
            None => "unset".to_owned(),
        };
        let choices = match field.choices.as_slice() {
            [] => String::new(),
            choices => format!(" One of `{}`.", choices.join("`, `")),
        };
        let doc = format!("{}{choices}", field.doc);
        let _ = writeln!(
            text,
            "| `{}` | `{}` | {} | {} |",
            field.name,
            field.variable,
            cell(&default),
            cell(&doc)
        );
    }
    text
}

/// Text that stays within its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
