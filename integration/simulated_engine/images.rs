//! The images that the simulated engine has, and those that it could pull.

use std::collections::HashSet;

use super::reply::Refusal;

/// Which images are there at start.
#[derive(Clone, Debug, Default)]
pub enum Present {
    /// Every image that anyone asks for.
    #[default]
    All,
    /// These, and those pulled later.
    Only(Vec<String>),
}

/// What can be run, and what a pull would find.
pub struct Images {
    present: Option<HashSet<String>>,
    /// What a pull finds.
    pub pullable: HashSet<String>,
    /// What was pulled, in order, with the login that was sent.
    pub pulls: Vec<(String, Option<String>)>,
}

impl Images {
    /// As the options say.
    pub fn new(present: Present) -> Self {
        let present = match present {
            Present::All => None,
            Present::Only(names) => Some(names.iter().map(|name| tagged(name)).collect()),
        };
        Self { present, pullable: HashSet::new(), pulls: Vec::new() }
    }

    /// Whether an image is there.
    pub fn has(&self, name: &str) -> bool {
        self.present.as_ref().is_none_or(|present| present.contains(&tagged(name)))
    }

    /// An image that is to be run.
    pub fn demand(&self, name: &str) -> Result<(), Refusal> {
        if name.is_empty() {
            return Err(Refusal(400, "no image specified".to_owned()));
        }
        if self.has(name) { Ok(()) } else { Err(Refusal(404, format!("No such image: {}", tagged(name)))) }
    }

    /// A pull: from now on the image is there.
    pub fn pull(&mut self, name: &str, login: Option<&str>) -> Result<(), Refusal> {
        self.pulls.push((name.to_owned(), login.map(ToOwned::to_owned)));
        if let Some(present) = &mut self.present {
            if !self.pullable.contains(&tagged(name)) {
                let repository = name.split(':').next().unwrap_or(name);
                return Err(Refusal(
                    404,
                    format!(
                        "pull access denied for {repository}, repository does not exist or may require \
                         'docker login': denied: requested access to the resource is denied"
                    ),
                ));
            }
            present.insert(tagged(name));
        }
        Ok(())
    }

    /// An image disappears.
    pub fn remove(&mut self, name: &str) {
        if let Some(present) = &mut self.present {
            present.remove(&tagged(name));
        }
    }
}

/// The name with its tag.
pub fn tagged(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains(':') || name.contains('@') { name.to_owned() } else { format!("{name}:latest") }
}
