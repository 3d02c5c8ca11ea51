//! `new-grader`: a grader that works, to begin with: its program, Dockerfile, submissions and a test.
//!
//! The templates are the examples of `examples/graders`, so that what is written is what is tested there.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::Answer;
use super::terminal::{Style, Terminal, printable};
use crate::config::{Language, NewGrader};
use crate::image::Image;

/// What the examples call their image.
const EXAMPLES_NAME: &str = "my-grader";
/// What stands for the grader's own file in the README.
const GRADER_FILE: &str = "GRADER-FILE";

/// A file of a new grader: its place, its text, and whether it is a program.
type Template = (&'static str, &'static str, bool);

macro_rules! templates {
    ($folder:literal, $program:literal) => {
        [
            ("Dockerfile", include_str!(concat!("../../examples/graders/", $folder, "/Dockerfile")), false),
            ($program, include_str!(concat!("../../examples/graders/", $folder, "/", $program)), false),
            ("README.md", include_str!("../../examples/graders/README.md"), false),
            ("test", include_str!("../../examples/graders/test"), true),
            submission!($folder, "right"),
            submission!($folder, "wrong"),
            submission!($folder, "broken"),
        ]
    };
}

macro_rules! submission {
    ($folder:literal, $name:literal) => {
        (
            concat!("submissions/", $name),
            include_str!(concat!("../../examples/graders/", $folder, "/submissions/", $name)),
            false,
        )
    };
}

const SHELL: [Template; 7] = templates!("shell", "grader.sh");
const PYTHON: [Template; 7] = templates!("python", "grader.py");
const JAVA: [Template; 7] = templates!("java", "Grader.java");

/// Writes it.
pub(super) fn write(asked: &NewGrader, out: &mut Terminal<'_>) -> io::Result<Answer> {
    let folder = &asked.folder;
    let name = match &asked.name {
        Some(name) if Image::read(name).is_ok() => name.clone(),
        Some(name) => {
            return Ok(Answer::Senseless(format!(
                "--name {}: no image can be called so; lower-case letters, digits and - are safe, such as course/quiz-1",
                printable(name)
            )));
        }
        None => name_of(&std::path::absolute(folder)?),
    };
    let templates = of(asked.language);
    for (file, ..) in templates {
        if folder.join(file).symlink_metadata().is_ok() {
            let there = folder.join(file);
            let there = there.display();
            return Ok(Answer::Senseless(format!(
                "{there} is there already, and nothing is overwritten: name another folder"
            )));
        }
    }
    for (file, text, is_program) in templates {
        let path = folder.join(file);
        let text = text.replace(EXAMPLES_NAME, &name).replace(GRADER_FILE, templates[1].0);
        if let Err(error) = create(&path, &text, *is_program) {
            return Ok(Answer::Senseless(format!("{} cannot be written: {error}", path.display())));
        }
    }
    let folder = printable(&folder.to_string_lossy());
    writeln!(out, "A grader that works is in {folder}. What to do with it there (cd {folder}):")?;
    let commands = [
        (format!("docker build -t {name} ."), "makes its image"),
        (format!("correction-runner try {name} submissions/right"), "runs it on a submission"),
        ("./test".to_owned(), "both, for all submissions"),
    ];
    let widest = commands.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    for (command, what) in commands {
        let gap = " ".repeat(widest - command.len() + 3);
        let what = out.painted(Style::Faint, what);
        writeln!(out, "  {command}{gap}{what}")?;
    }
    Ok(Answer::Yes)
}

fn of(language: Language) -> &'static [Template] {
    match language {
        Language::Shell => &SHELL,
        Language::Python => &PYTHON,
        Language::Java => &JAVA,
    }
}

/// Writes a file that is not there yet.
fn create(path: &Path, text: &str, is_program: bool) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mode = if is_program { 0o777 } else { 0o666 };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())
}

/// What an image is called after a folder.
fn name_of(folder: &Path) -> String {
    let name = folder.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name = words.collect::<Vec<_>>().join("-");
    if name.is_empty() { EXAMPLES_NAME.to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(language: Language, folder: &Path, name: Option<&str>) -> (Answer, String) {
        let mut said = Vec::new();
        let asked = NewGrader { language, folder: folder.to_owned(), name: name.map(str::to_owned) };
        let answer = write(&asked, &mut Terminal::plain(&mut said)).expect("written");
        (answer, String::from_utf8(said).expect("text"))
    }

    #[test]
    fn each_language_is_written_whole_under_its_name_and_with_its_commands() {
        let folder = tempfile::tempdir().expect("a folder");
        for (language, program) in
            [(Language::Shell, "grader.sh"), (Language::Python, "grader.py"), (Language::Java, "Grader.java")]
        {
            let at = folder.path().join(format!("a/{program}"));
            let (answer, said) = written(language, &at, Some("course/quiz"));
            assert_eq!(answer, Answer::Yes);
            assert!(said.contains("docker build -t course/quiz ."), "{said}");
            for (file, ..) in of(language) {
                let text = fs::read_to_string(at.join(file)).expect(file);
                assert!(!text.contains(EXAMPLES_NAME) && !text.contains(GRADER_FILE), "{file}: {text}");
            }
            let readme = fs::read_to_string(at.join("README.md")).expect("a README");
            assert!(
                readme.contains(&format!("`{program}`")) && readme.contains("try course/quiz"),
                "{readme}"
            );
        }
    }

    #[test]
    fn nothing_is_overwritten_and_what_is_there_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("submissions")).expect("a folder");
        fs::write(folder.path().join("submissions/wrong"), "mine").expect("a file");
        let (Answer::Senseless(why), _) = written(Language::Shell, folder.path(), None) else {
            panic!("refused")
        };
        assert!(why.contains("submissions/wrong is there already"), "{why}");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing was begun");
        fs::write(folder.path().join("file"), "").expect("a file");
        let (Answer::Senseless(why), _) = written(Language::Shell, &folder.path().join("file/x"), None)
        else {
            panic!("refused")
        };
        assert!(why.contains("cannot be written"), "{why}");
    }

    #[test]
    fn an_image_is_called_as_its_folder_where_that_is_a_name_and_a_bad_name_is_refused() {
        for (folder, name) in
            [("/a/My Quiz_2", "my-quiz-2"), ("/", "my-grader"), ("/a/---", "my-grader"), ("/é", "my-grader")]
        {
            assert_eq!(name_of(Path::new(folder)), name);
            assert!(Image::read(name).is_ok());
        }
        let folder = tempfile::tempdir().expect("a folder");
        let (answer, _) = written(Language::Java, &folder.path().join("x"), Some("Bad Name"));
        assert!(matches!(answer, Answer::Senseless(why) if why.contains("--name Bad Name")));
        assert!(!folder.path().join("x").exists());
    }
}
