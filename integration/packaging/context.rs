//! What `.dockerignore` lets through is all that the build of the image needs: the sources, what is compiled into
//! them, and what the Dockerfile runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The context of the image's build: first `*`, then what is let through, by plain paths.
struct Context(Vec<PathBuf>);

impl Context {
    fn read() -> Self {
        let text = fs::read_to_string(root().join(".dockerignore")).expect("a .dockerignore");
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        assert_eq!(lines.next(), Some("*"), "all is left out, but for what follows");
        let let_through = lines.map(|line| {
            let path = line.strip_prefix('!').unwrap_or_else(|| panic!("{line} leaves out what is out"));
            assert!(!path.contains(['*', '?', '[', '\\']), "{path}: this test knows plain paths only");
            PathBuf::from(path)
        });
        Self(let_through.collect())
    }

    /// Whether a path below the root, or the folder that it is in, is let through.
    fn has(&self, path: &Path) -> bool {
        self.0.iter().any(|let_through| path.starts_with(let_through))
    }

    /// Copies it into a folder, as the engine is sent it.
    fn lay_out(&self, folder: &Path) {
        for path in self.0.iter().filter(|path| root().join(path).exists()) {
            copy(&root().join(path), &folder.join(path));
        }
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("a folder") {
            let entry = entry.expect("an entry");
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        // With its permissions: some are run.
        fs::copy(from, to).expect("a copy");
    }
}

/// What follows each `include_str!(` and the like, up to the closing bracket.
fn inclusions(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for start in ["include_str!(", "include_bytes!(", "include!("] {
        for (at, _) in text.match_indices(start) {
            let mut depth = 1;
            let rest = &text[at + start.len()..];
            let end = rest.find(|letter| {
                depth += i32::from(letter == '(') - i32::from(letter == ')');
                depth == 0
            });
            found.push(&rest[..end.expect("a closing bracket")]);
        }
    }
    found
}

/// The path that the arguments of an inclusion name, as far as it is written out: of `concat!("a/", $b, "/c")` it is
/// the folder `a`.
fn named(arguments: &str) -> PathBuf {
    let literal = arguments.split('"').nth(1).expect("a path is written out");
    if arguments.contains('$') {
        return PathBuf::from(literal.rsplit_once('/').expect("a folder").0);
    }
    assert!(!arguments.contains("concat!"), "{arguments}");
    PathBuf::from(literal)
}

/// Without `..`: a path below the root.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{} is above the root", path.display()),
            part => plain.push(part),
        }
    }
    plain
}

/// All source files of the program below a folder but those of its tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(root().join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = folder.join(entry.file_name());
        if path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if entry.path().is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn whatever_is_compiled_into_the_program_is_in_the_context_of_the_images_build() {
    let context = Context::read();
    let mut needed =
        vec![PathBuf::from("Cargo.toml"), PathBuf::from("Cargo.lock"), PathBuf::from("build.rs")];
    sources(Path::new("src"), &mut needed);
    let mut included = Vec::new();
    for source in &needed {
        let text = fs::read_to_string(root().join(source)).expect("text");
        // A file's own tests are at its end.
        let program = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let folder = source.parent().expect("a folder");
        included.extend(inclusions(program).into_iter().map(|names| plain(&folder.join(named(names)))));
    }
    // All kinds of them are found.
    for known in ["schemas/container_response.json", "examples/graders", "src/queue/scripts"] {
        assert!(included.iter().any(|path| path == Path::new(known)), "{known}: {included:?}");
    }
    needed.extend(included);
    let missing: Vec<_> = needed.iter().filter(|path| !context.has(path)).collect();
    assert!(missing.is_empty(), ".dockerignore does not let through {missing:?}");
    let unknown: Vec<_> = needed.iter().filter(|path| !root().join(path).exists()).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// Stands in for cargo in the build: that of the program takes minutes, so it looks whether the file of each target is
/// there, and gives a static program that is there already. All else the true one does.
const CARGO: &str = r#"#!/bin/sh
[ "$1" = build ] || exec "$TRUE_CARGO" "$@"
"$TRUE_CARGO" metadata --locked --no-deps --format-version 1 | grep -o '"src_path":"[^"]*"' | cut -d '"' -f 4 |
    while read -r source; do
        [ -f "$source" ] || { echo "no $source in the context" >&2; exit 1; }
    done || exit 1
while [ $# -gt 0 ]; do
    case $1 in
        --target) target=$2 ;;
        --target-dir) folder=$2 ;;
    esac
    shift
done
install -D /bin/busybox "$folder/$target/release/correction-runner"
"#;

/// What the Dockerfile runs, without the mounts of a build there.
fn command() -> String {
    let text = fs::read_to_string(root().join("Dockerfile")).expect("a Dockerfile").replace("\\\n", " ");
    let mut runs = text.lines().filter_map(|line| line.strip_prefix("RUN "));
    let (Some(run), None) = (runs.next(), runs.next()) else { panic!("there is one RUN: {text}") };
    run.split(' ').filter(|word| !word.starts_with("--mount=")).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_the_dockerfile_runs_finds_all_that_it_needs_in_the_context() {
    let folder = tempfile::tempdir().expect("a folder");
    let (context, bin, image) =
        (folder.path().join("source"), folder.path().join("bin"), folder.path().join("image"));
    Context::read().lay_out(&context);
    fs::create_dir(&bin).expect("a folder");
    fs::write(bin.join("cargo"), CARGO).expect("a file");
    fs::set_permissions(bin.join("cargo"), fs::Permissions::from_mode(0o755)).expect("ours");
    let command = command();
    assert!(command.contains(" /image "), "{command}");
    let path = std::env::var("PATH").expect("a PATH");
    let done = Command::new("sh")
        .args(["-euc", &command.replace(" /image ", &format!(" {} ", image.display()))])
        .current_dir(&context)
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("TRUE_CARGO", env!("CARGO"))
        .env("CARGO_NET_OFFLINE", "true")
        .env("DOCKER_GROUP_ID", "999")
        .env_remove("STATIC_TARGET_DIR")
        .stdin(Stdio::null())
        .output()
        .expect("sh runs");
    assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
    let licences = image.join("usr/share/doc/correction-runner");
    for file in [image.join("usr/local/bin/correction-runner"), licences.join("LICENSE")] {
        assert!(file.is_file(), "{}", file.display());
    }
    let licences = fs::read_to_string(licences.join("THIRD-PARTY.txt")).expect("text");
    assert!(licences.contains("  tokio ") && licences.contains("GNU C Library"), "{licences:.1000}");
}
