//! The append-only file as a power cut leaves it: cut at what had reached the disk.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

/// How often the file's size is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The append-only file of a server that is never told to rewrite it.
pub struct AppendOnlyFile {
    path: PathBuf,
    sizes: Arc<Mutex<Vec<(Instant, u64)>>>,
    watching: JoinHandle<()>,
}

impl AppendOnlyFile {
    /// The file of a server in a directory, whose size is noted from now on.
    pub fn of(directory: &Path) -> Self {
        let parts = std::fs::read_dir(directory.join("appendonlydir")).expect("Redis 7 keeps a directory");
        let path = parts
            .flatten()
            .map(|part| part.path())
            .find(|path| path.to_string_lossy().ends_with(".incr.aof"))
            .expect("a part that is appended to");
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let (noted, watched) = (Arc::clone(&sizes), path.clone());
        let watching = tokio::spawn(async move {
            loop {
                if let Ok(file) = std::fs::metadata(&watched) {
                    noted.lock().expect("no panic").push((Instant::now(), file.len()));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        Self { path, sizes, watching }
    }

    /// Cuts it at what it held so long before a moment, and leaves some of the next command where there is more;
    /// answers how many bytes were lost. The server must not run.
    pub fn cut_at(&self, before: Duration, moment: Instant, and_some: u64) -> u64 {
        let sizes = self.sizes.lock().expect("no panic");
        let then =
            sizes.iter().take_while(|(at, _)| *at + before <= moment).last().map_or(0, |(_, size)| *size);
        self.cut(then + and_some)
    }

    /// Cuts it before the first transaction in which these words follow one another, `skip` of them left
    /// out of account; `and_some` as in [`AppendOnlyFile::cut_at`].
    pub fn cut_before(&self, words: &[&str], skip: usize, and_some: u64) -> u64 {
        let content = std::fs::read(&self.path).expect("it can be read");
        let at = transactions(&content)
            .filter(|(_, text)| contains(text, words))
            .nth(skip)
            .unwrap_or_else(|| panic!("{words:?} was not written"))
            .0;
        self.cut(at as u64 + and_some)
    }

    fn cut(&self, size: u64) -> u64 {
        let file = std::fs::OpenOptions::new().write(true).open(&self.path).expect("it can be opened");
        let before = file.metadata().expect("it is there").len();
        let size = size.min(before);
        file.set_len(size).expect("it can be cut");
        before - size
    }
}

impl Drop for AppendOnlyFile {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// Where each transaction (or command outside of one) begins, and its bytes.
fn transactions(content: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let mut inside = false;
        loop {
            let (name, length) = command(content.get(at..)?)?;
            at += length;
            match name {
                b"MULTI" => inside = true,
                b"EXEC" => inside = false,
                _ => {}
            }
            if !inside {
                return Some((start, &content[start..at]));
            }
        }
    })
}

/// A command's name and length; annotations of the file (`#TS:…`) are none.
fn command(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let line = |from: usize| {
        let end = bytes.get(from..)?.windows(2).position(|two| two == b"\r\n")?;
        Some((&bytes[from..from + end], from + end + 2))
    };
    let number = |text: &[u8]| std::str::from_utf8(text.get(1..)?).ok()?.parse::<usize>().ok();
    let (head, mut at) = line(0)?;
    if head.first() == Some(&b'#') {
        return Some((b"", at));
    }
    let mut name: &[u8] = b"";
    for index in 0..number(head)? {
        let (size, body) = line(at)?;
        let size = number(size)?;
        let word = bytes.get(body..body + size)?;
        if index == 0 {
            name = word;
        }
        at = body + size + 2;
    }
    (at <= bytes.len()).then_some((name, at))
}

/// Whether words stand one after another in the commands.
fn contains(text: &[u8], words: &[&str]) -> bool {
    let mut wanted = Vec::new();
    for word in words {
        wanted.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    text.windows(wanted.len()).any(|part| part == wanted)
}
