//! ARCHITECTURE.md is a map of what there is: each path that it names exists, and each folder of the source is on it.

use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn map() -> String {
    std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the page")
}

/// What stands in backticks and is a path of the repository.
fn paths(page: &str) -> Vec<&str> {
    let inside = page.split('`').skip(1).step_by(2);
    let folders = ["src/", "integration/", "scripts/", "schemas/", "docs/", "examples/"];
    inside
        .map(|text| text.split(' ').next().unwrap_or_default())
        .filter(|text| folders.iter().any(|folder| text.starts_with(folder)))
        .collect()
}

#[test]
fn each_path_on_the_map_exists() {
    let map = map();
    let paths = paths(&map);
    assert!(paths.len() > 60, "only {} paths were found", paths.len());
    let missing: Vec<_> = paths.into_iter().filter(|path| !root().join(path).exists()).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names what is not there: {missing:?}");
}

#[test]
fn each_folder_of_the_source_is_on_the_map() {
    let map = map();
    let paths = paths(&map);
    let folders = std::fs::read_dir(root().join("src")).expect("the source").flatten();
    let folders = folders.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    // A folder of nothing but tests is none of the program.
    let holds_code = |folder: &Path| {
        let mut files = std::fs::read_dir(folder).expect("a folder").flatten();
        files.any(|file| file.file_name() != "tests.rs" && file.file_name() != "tests")
    };
    for folder in folders.filter(|entry| holds_code(&entry.path())) {
        let name = format!("src/{}", folder.file_name().to_string_lossy());
        let inside = format!("{name}/");
        let named = paths.iter().any(|path| *path == name || path.starts_with(&inside));
        assert!(named, "ARCHITECTURE.md does not say what {name} is for");
    }
}

#[test]
fn what_the_map_names_in_backticks_is_a_path_or_not() {
    assert_eq!(
        paths("`src/a.rs`, `make docs`, `src/b` and `scripts/run_tests whole`"),
        ["src/a.rs", "src/b", "scripts/run_tests"]
    );
}
