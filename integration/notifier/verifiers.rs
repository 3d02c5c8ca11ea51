//! Programs that check callbacks: those of the page on verifying them, word for word, and the libraries of Standard
//! Webhooks. Each is run once, on all cases.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../docs/verifying-callbacks.md");

/// A callback as a verifier gets it.
#[derive(Clone, Debug)]
pub struct Case {
    pub id: String,
    pub timestamp: String,
    pub signature: String,
    pub body: Vec<u8>,
    pub key: String,
}

impl Case {
    fn to_json(&self) -> Value {
        json!({
            "headers": {
                "webhook-id": self.id,
                "webhook-timestamp": self.timestamp,
                "webhook-signature": self.signature,
            },
            "body": STANDARD.encode(&self.body),
            "key": self.key,
        })
    }
}

/// In which language a verifier is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Python,
    Node,
    Php,
}

impl Language {
    pub const EACH: [Self; 3] = [Self::Python, Self::Node, Self::Php];

    fn fence(self) -> &'static str {
        match self {
            Self::Python => "```python\n",
            Self::Node => "```js\n",
            Self::Php => "```php\n",
        }
    }

    /// The program that reads cases, checks each with `verify`, and writes what came of it.
    fn program(self, verify: &str) -> String {
        match self {
            Self::Python => format!(
                "{verify}\nimport base64, json, sys\nanswers = []\nfor case in json.load(sys.stdin):\n    try:\n        \
                 verify(case['headers'], base64.b64decode(case['body']), case['key'])\n        answers.append('ok')\n    \
                 except Exception as refused:\n        answers.append(f'{{type(refused).__name__}}: {{refused}}')\n\
                 print(json.dumps(answers))\n"
            ),
            Self::Node => format!(
                "{verify}\nconst cases = JSON.parse(require('node:fs').readFileSync(0))\n\
                 console.log(JSON.stringify(cases.map(({{ headers, body, key }}) => {{\n  try {{\n    \
                 verify(headers, Buffer.from(body, 'base64'), key)\n    return 'ok'\n  }} catch (refused) {{\n    \
                 return String(refused)\n  }}\n}})))\n"
            ),
            Self::Php => format!(
                "<?php\n{verify}\n$answers = [];\nforeach (json_decode(file_get_contents('php://stdin'), true) as $case) \
                 {{\n    try {{\n        verify($case['headers'], base64_decode($case['body']), $case['key']);\n        \
                 $answers[] = 'ok';\n    }} catch (Throwable $refused) {{\n        $answers[] = \
                 get_class($refused) . ': ' . $refused->getMessage();\n    }}\n}}\necho json_encode($answers);\n"
            ),
        }
    }

    fn command(self, file: &Path) -> Command {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = match self {
            Self::Python => {
                let python = root.join(".run/python/bin/python");
                assert!(python.exists(), "no {}: run scripts/set_up_services --for test", python.display());
                Command::new(python)
            }
            Self::Node => {
                let mut command = Command::new("node");
                command.env("NODE_PATH", root.join("integration/node/node_modules"));
                command
            }
            Self::Php => Command::new("php"),
        };
        command.arg(file);
        command
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Python => "py",
            Self::Node => "cjs",
            Self::Php => "php",
        }
    }
}

/// What the verifier of the page says to each case: `ok`, or why it refuses.
pub fn of_the_page(section: &str, language: Language, cases: &[Case]) -> Vec<String> {
    let (_, rest) = PAGE.split_once(section).expect("the section");
    let section = rest.split("\n## ").next().unwrap_or_default();
    let (_, rest) = section.split_once(language.fence()).expect("a verifier in that language");
    let (verify, _) = rest.split_once("```").expect("the end of the block");
    run(language, verify, cases)
}

/// What the library of Standard Webhooks says to each case.
pub fn of_the_library(language: Language, cases: &[Case]) -> Vec<String> {
    let verify = match language {
        Language::Python => {
            "from standardwebhooks.webhooks import Webhook\n\
             def verify(headers, body, key):\n    Webhook(key).verify(body, headers)\n"
        }
        Language::Node => {
            "const { Webhook } = require('standardwebhooks')\n\
             const verify = (headers, body, key) => new Webhook(key).verify(body, headers)\n"
        }
        Language::Php => panic!("there is no such library for it"),
    };
    run(language, verify, cases)
}

/// A signature by the library of Standard Webhooks, now: its time, and the header.
pub fn signed_by_the_library(language: Language, id: &str, body: &str, key: &str) -> (String, String) {
    let verify = match language {
        Language::Python => {
            "from standardwebhooks.webhooks import Webhook\nfrom datetime import datetime, timezone\n\
             def verify(headers, body, key):\n    now = datetime.now(tz=timezone.utc)\n    \
             raise Exception(f'{int(now.timestamp())} {Webhook(key).sign(headers[\"webhook-id\"], now, body.decode())}')\n"
        }
        Language::Node => {
            "const { Webhook } = require('standardwebhooks')\nconst verify = (headers, body, key) => {\n  \
             const now = new Date()\n  const signature = new Webhook(key).sign(headers['webhook-id'], now, body)\n  \
             throw new Error(`${Math.floor(now / 1000)} ${signature}`)\n}\n"
        }
        Language::Php => panic!("there is no such library for it"),
    };
    let case = Case {
        id: id.into(),
        timestamp: String::new(),
        signature: String::new(),
        body: body.into(),
        key: key.into(),
    };
    let told = run(language, verify, &[case]).remove(0);
    let (_, told) = told.split_once(": ").expect("an error");
    let (time, signature) = told.split_once(' ').expect("a time and a signature");
    (time.to_owned(), signature.to_owned())
}

fn run(language: Language, verify: &str, cases: &[Case]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file: PathBuf = folder.path().join("verifier").with_extension(language.extension());
    std::fs::write(&file, language.program(verify)).expect("written");
    let mut child = language
        .command(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{language:?} (scripts/set_up_services --for test): {error}"));
    let input: Vec<Value> = cases.iter().map(Case::to_json).collect();
    let text = serde_json::to_string(&input).expect("JSON");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{language:?}: {error}: {}", String::from_utf8_lossy(&output.stderr)))
}
