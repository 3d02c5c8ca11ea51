//! Every way in which a grader can end, on the real engine: what its caller is told, and that nobody else is harmed.

mod disks;
mod exits;
mod memory;
mod output;
mod processes;
mod stopping;

use crate::support::system::System;

const SAYS_OK: &str = r#"echo '{"success":true,"grade":7}'"#;

/// A verdict between its separator lines, as a script prints it.
const BLOCK: &str = r#"
echo '-----BEGIN CORRECTOMATIC RESPONSE-----'
echo '{"success":true,"grade":7}'
echo '-----END CORRECTOMATIC RESPONSE-----'
"#;

/// Waits for the result of a correction that failed, and gives the text of its error. A text is for people: it holds
/// nothing that a terminal would obey.
async fn told(system: &System, name: &str, outcome: &str) -> String {
    let body = system.result(name).await.json();
    assert_eq!(body["outcome"], outcome, "{name}: {body}; logs:\n{}", system.logs());
    assert_eq!(body["success"], false);
    let text = body["error"].as_str().expect("a text").to_owned();
    assert!(!text.chars().any(|character| character.is_control() && character != '\n'), "{text:?}");
    text
}

/// Asserts that a text says each of these.
fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "it does not say {word:?}:\n{text}");
    }
}

/// Waits for a grade of 7.
async fn graded(system: &System, name: &str) {
    let body = system.result(name).await.body;
    assert_eq!(body, format!(r#"{{"grade":7,"success":true,"work_id":"{name}"}}"#), "{}", system.logs());
}
