//! The arguments of `try` and of `new-grader`: what the author of a grader uses.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::super::components;
use super::super::connections::docker;
use super::super::inputs::Inputs;
use super::super::sandbox;
use super::super::settings::DockerSettings;
use crate::policy::Policy;

/// `try` as it stands on the command line.
#[derive(Clone, Debug, Args)]
pub(in super::super) struct TryLine {
    /// The grader's image, as a job would name it
    pub image: String,
    /// The submission: a file or a folder. Where the engine is on another host, its path there
    pub file: PathBuf,
    /// A variable of the grader's environment, as the job's params have them; can be given several times
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = param)]
    pub params: Vec<String>,
    /// The job's `work_id`, which the callback's body repeats
    #[arg(long, value_name = "TEXT")]
    pub work_id: Option<String>,
    /// Answer with one JSON document
    #[arg(long)]
    pub json: bool,
    /// Try it again whenever the file or the image changes, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
}

/// What `try` is asked, with the settings that it uses.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// The grader's image.
    pub image: String,
    /// The submission, as it was given.
    pub file: PathBuf,
    /// Environment of the grader, each `KEY=value`.
    pub params: Vec<String>,
    /// The work id.
    pub work_id: Option<String>,
    /// Whether the answer is to be JSON.
    pub json: bool,
    /// Whether it is tried again at each change.
    pub watch: bool,
    /// The engine.
    pub docker: DockerSettings,
    /// Which images may run, and what their containers get.
    pub policy: Policy,
    /// The folders that submissions have to lie in; none = any.
    pub folders: Vec<PathBuf>,
    /// Bytes of the output that are kept.
    pub output_limit: u64,
}

/// `new-grader`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct NewGrader {
    /// What it is written in
    pub language: Language,
    /// The folder to make; what stands in it already is never overwritten
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// The name of its image; without it the folder's name
    #[arg(long, value_name = "IMAGE")]
    pub name: Option<String>,
}

/// What a new grader is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// A shell script that marks a quiz
    Shell,
    /// A Python program that marks Python programs
    Python,
    /// A Java program that marks Java programs
    Java,
}

impl TryLine {
    /// With the settings.
    pub(super) fn with(self, inputs: &mut Inputs) -> Trial {
        let Self { image, file, params, work_id, json, watch } = self;
        Trial {
            image,
            file,
            params,
            work_id,
            json,
            watch,
            docker: docker(inputs),
            policy: sandbox::policy(inputs),
            folders: components::exercise_folders(inputs),
            output_limit: components::output_limit(inputs),
        }
    }
}

fn param(text: &str) -> Result<String, String> {
    let is_one = text.split_once('=').is_some_and(|(key, _)| !key.is_empty());
    is_one.then(|| text.to_owned()).ok_or_else(|| "KEY=VALUE is needed, such as OUT_OF=100".to_owned())
}
