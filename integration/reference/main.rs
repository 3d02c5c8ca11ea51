//! Writes into the pages what they repeat of the code (`make docs`), and says which of them changed.

#![allow(missing_docs, reason = "an example")]

mod pages;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    match pages::all(root) {
        Ok(pages) => {
            for page in pages.iter().filter(|page| page.now != page.wanted) {
                if let Err(error) = std::fs::write(root.join(page.path), &page.wanted) {
                    eprintln!("error: {}: {error}", page.path);
                    return ExitCode::FAILURE;
                }
                println!("written: {}", page.path);
            }
            println!("{} pages say what the code says", pages.len());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
