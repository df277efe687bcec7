use std::net::SocketAddr;
use std::time::Duration;

use super::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

#[derive(Debug)]
struct Example {
    listen: SocketAddr,
    name: String,
    key: Option<String>,
    grace: Duration,
    format: Format,
    origins: Vec<String>,
    count: u16,
}

fn read(reader: &mut Reader) -> Result<Example, Mistaken> {
    reader.leave_alone("other");
    let listen = reader
        .value("api.listen")
        .doc("Where it listens.")
        .default("127.0.0.1:8080")
        .parse();
    let name = reader.value("name").doc("Its name.").example("a").parse();
    let key = reader
        .value("key")
        .doc("A key.")
        .secret()
        .optional_with(|text| {
            let long = text.len() >= 4;
            long.then(|| text.to_owned())
                .ok_or_else(|| format!("{text} is too short"))
        });
    let grace = reader
        .value("api.grace")
        .doc("How long.")
        .default("10s")
        .duration_within("1s", "1h");
    let format = reader
        .value("log.format")
        .doc("How lines look.")
        .default("text")
        .one_of(&[("text", Format::Text), ("json", Format::Json)]);
    let origins = reader.value("api.origins").doc("Whose pages.").list();
    let count = reader
        .value("count")
        .doc("How many.")
        .default("3")
        .within(1, 9);
    Ok(Example {
        listen: listen?,
        name: name?,
        key: key?,
        grace: grace?,
        format: format?,
        origins: origins?,
        count: count?,
    })
}

fn named() -> Layers {
    Layers::default().environment([("SESSION_NAME", "n")])
}

fn mistakes(layers: Layers) -> Vec<String> {
    let Mistakes(found) = load(layers, read).expect_err("there are mistakes");
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn later_layers_win() {
    let file = "name = 'file'\ncount = 1\n[api]\nlisten = '0.0.0.0:1'\ngrace = '2s'\n";
    let layers = Layers::default()
        .file("a.toml", file)
        .environment([("SESSION_API__GRACE", "3s"), ("SESSION_COUNT", "2")])
        .flag("count", "--count", "4");
    let loaded = load(layers, read).unwrap();
    let example = loaded.value;
    assert_eq!(example.name, "file");
    assert_eq!(example.listen, "0.0.0.0:1".parse().unwrap());
    assert_eq!(example.grace, Duration::from_secs(3));
    assert_eq!(example.count, 4);
    assert_eq!(example.format, Format::Text);
    assert_eq!((example.key, example.origins.len()), (None, 0));
    let origins: Vec<_> = loaded.fields.iter().map(|f| f.origin.as_str()).collect();
    assert_eq!(
        origins,
        [
            "file a.toml",
            "file a.toml",
            "unset",
            "environment SESSION_API__GRACE",
            "default",
            "default",
            "flag --count",
        ]
    );
}

#[test]
fn every_mistake_is_told_at_once() {
    let layers = Layers::default()
        .file(
            "a.toml",
            "[api]\nlisten = 'here'\ngrace = '2h'\nlisen = 1\n",
        )
        .environment([
            ("SESSION_LOG__FORMAT", "xml"),
            ("SESSION_COUNT", "10"),
            ("SESSION_LOG__FROMAT", "json"),
        ])
        .flag("nonsense", "--set", "1");
    assert_eq!(
        mistakes(layers),
        [
            "api.listen (file a.toml): \"here\" isn't valid: invalid socket address syntax; \
             for example 127.0.0.1:8080",
            "name: must be set, here or as SESSION_NAME; for example a",
            "api.grace (file a.toml): \"2h\" isn't valid: must be between 1s and 1h; \
             for example 10s",
            "log.format (environment SESSION_LOG__FORMAT): \"xml\" isn't valid: \
             must be one of text, json; for example text",
            "count (environment SESSION_COUNT): \"10\" isn't valid: must be between 1 and 9; \
             for example 3",
            "api.lisen (file a.toml): unknown setting; did you mean api.listen?",
            "SESSION_LOG__FROMAT (environment): unknown setting; \
             did you mean SESSION_LOG__FORMAT?",
            "nonsense (flag --set): unknown setting",
        ]
    );
}

#[test]
fn an_empty_variable_is_none() {
    let layers = named().environment([("SESSION_API__LISTEN", ""), ("SESSION_UNKNOWN", "")]);
    let listen = load(layers, read).unwrap().value.listen;
    assert_eq!(listen, "127.0.0.1:8080".parse().unwrap());
}

#[test]
fn variables_of_other_programs_are_passed_over() {
    let layers = named().environment([
        ("HOME", "/nowhere"),
        ("SESSION_MANAGER", "local/host:@/tmp/.ICE-unix/1"),
        ("SESSION_API_SERVICE_HOST", "10.0.0.1"),
        ("SESSION_API_SERVICE_PORT", "80"),
        ("SESSION_API_SERVICE_PORT_HTTP", "80"),
        ("SESSION_API_PORT", "tcp://10.0.0.1:80"),
        ("SESSION_API_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("SESSION_API_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("SESSION_API_PORT_80_TCP_PORT", "80"),
        ("SESSION_API_PORT_80_TCP_PROTO", "tcp"),
    ]);
    assert!(load(layers, read).is_ok());
}

#[test]
fn a_variable_in_the_wrong_case_is_told() {
    let layers = named().environment([("SESSION_count", "5")]);
    assert_eq!(
        mistakes(layers),
        ["SESSION_count (environment): unknown setting; did you mean SESSION_COUNT?"]
    );
}

#[test]
fn a_secret_is_never_shown() {
    let layers = named().environment([("SESSION_KEY", "abc")]);
    assert_eq!(
        mistakes(layers),
        ["key (environment SESSION_KEY): isn't valid"]
    );
    let loaded = load(named().environment([("SESSION_KEY", "long enough")]), read).unwrap();
    assert_eq!(loaded.value.key.as_deref(), Some("long enough"));
    let printed = print_config(&loaded.fields);
    assert!(!printed.contains("long enough") && printed.contains("key = \"****"));
}

#[test]
fn another_process_s_section_stands() {
    let layers = named().file("a.toml", "[other]\nanything = 1\n");
    assert!(load(layers, read).is_ok());
    let layers = named().environment([("SESSION_OTHER__ANYTHING", "1")]);
    assert!(load(layers, read).is_ok());
}

#[test]
fn lists_are_arrays_or_separated_by_commas() {
    let from_file = named().file("a.toml", "api.origins = ['https://a', 'https://b,c']\n");
    let loaded = load(from_file, read).unwrap();
    assert_eq!(loaded.value.origins, ["https://a", "https://b,c"]);
    let from_environment =
        named().environment([("SESSION_API__ORIGINS", " https://a, https://b ,")]);
    let loaded = load(from_environment, read).unwrap();
    assert_eq!(loaded.value.origins, ["https://a", "https://b"]);
}

#[test]
fn a_list_where_one_value_belongs_and_tables_in_lists_are_mistakes() {
    let layers = named().file("a.toml", "count = [1, 2]\napi.origins = [{a = 1}]\n");
    assert_eq!(
        mistakes(layers),
        [
            "api.origins (file a.toml): must be a list of plain values; \
             for example [\"a\", \"b\"]",
            "count (file a.toml): must be a single value; for example 3",
        ]
    );
}

#[test]
fn an_unreadable_file_is_one_mistake_and_hides_what_may_be_in_it() {
    let found = mistakes(Layers::default().file_at("/nonexistent/a.toml".as_ref()));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("/nonexistent/a.toml: can't be read"));
    let found = mistakes(Layers::default().file("a.toml", "name = "));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("a.toml: isn't valid TOML"));
}

#[test]
fn what_is_printed_can_be_loaded_again() {
    let layers = named()
        .environment([("SESSION_API__ORIGINS", "https://a,https://b")])
        .flag("name", "--set", "quo\"te\\\u{7}");
    let first = load(layers, read).unwrap();
    let printed = print_config(&first.fields);
    let again = load(Layers::default().file("printed", &printed), read).unwrap();
    assert_eq!(again.value.name, first.value.name);
    assert_eq!(again.value.origins, first.value.origins);
}

#[test]
fn the_documentation_needs_no_configuration() {
    let table = docs_table(&describe(read));
    assert!(table.contains(
        "| `log.format` | `SESSION_LOG__FORMAT` | `text` | How lines look. One of `text`, `json`. |"
    ));
    assert!(table.contains("| `name` | `SESSION_NAME` | required | Its name. |"));
    assert!(table.contains("| `key` | `SESSION_KEY` | unset | A key. |"));
    assert_eq!(table.lines().count(), 2 + 7);
}

#[test]
fn arguments_name_the_file_and_override_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    std::fs::write(&path, "name = 'file'\ncount = 2\n").unwrap();
    let variable = |value: &std::path::Path| [("SESSION_CONFIG".into(), value.into())];

    let args = ConfigArgs {
        set: vec!["count=5".into(), "broken".into()],
        ..ConfigArgs::default()
    };
    assert_eq!(
        mistakes(args.layers(variable(&path))),
        [
            "broken (flag --set): must be a field, '=' and a value; for example --set log.level=debug"
        ]
    );

    let args = ConfigArgs {
        config: Some(path),
        set: vec!["count=5".into()],
        print_config: false,
    };
    let loaded = load(args.layers(variable("".as_ref())), read).unwrap();
    assert_eq!(
        (loaded.value.name.as_str(), loaded.value.count),
        ("file", 5)
    );
}

#[test]
fn a_mistake_across_fields_stops_the_loading() {
    let result = load(named(), |reader| {
        let example = read(reader)?;
        if example.count < 5 {
            return Err(reader.mistake("count", "must be at least 5"));
        }
        Ok(example)
    });
    assert_eq!(
        result.unwrap_err().to_string(),
        "1 mistake in the configuration:\n  count: must be at least 5"
    );
}

#[test]
fn two_parts_may_read_the_same_field() {
    let twice = |reader: &mut Reader| {
        let (one, two) = (read(reader), read(reader));
        Ok((one?, two?))
    };
    let loaded = load(named(), twice).unwrap();
    assert_eq!(loaded.fields.len(), 7);
    let wrong = named().environment([("SESSION_COUNT", "0")]);
    assert_eq!(load(wrong, twice).unwrap_err().0.len(), 1);
}

#[test]
fn sections_have_the_names_that_any_layer_gives_them() {
    let layers = Layers::default()
        .file(
            "f.toml",
            "[policy.empty]\n[policy.from-file]\nage = 1\n[policy.\"Not one\"]\nage = 2",
        )
        .environment([("SESSION_POLICY__FROM_ENV__AGE", "4")])
        .flag("policy.flagged.age", "--set", "5");
    let result = load(layers, |reader| {
        let names = reader.names("policy");
        let ages: Vec<_> = names
            .iter()
            .map(|name| {
                reader
                    .value(&format!("policy.{name}.age"))
                    .default("0")
                    .parse::<u8>()
            })
            .collect();
        assert_eq!(ages.into_iter().flatten().collect::<Vec<_>>(), [0, 5, 1, 4]);
        assert!(
            names
                .iter()
                .eq(["empty", "flagged", "from-file", "from_env"])
        );
        Ok(())
    });
    let told: Vec<_> = result
        .unwrap_err()
        .0
        .into_iter()
        .map(|one| one.field)
        .collect();
    assert_eq!(told, ["policy.Not one"]);
}
