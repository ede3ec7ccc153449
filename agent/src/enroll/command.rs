//! `muster-agent enroll TOKEN|@FILE`.
//!
//! Parses, calls, prints, and chooses an exit code.

use super::{EnrollError, Identity, enroll};
use crate::clock;
use muster_protocol::token::Token;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Longer than any token.
const TOKEN_BYTES_MAX: u64 = 8192;

/// Makes this machine a device of a fleet.
#[derive(Debug, clap::Args)]
pub struct EnrollArgs {
    /// The token that `muster` printed, or @FILE that holds it.
    token: String,
    /// Where the agent keeps its identity and its state.
    #[arg(
        long,
        value_name = "DIR",
        env = "MUSTER_STATE",
        default_value = "/var/lib/muster"
    )]
    state: PathBuf,
}

/// Runs the command.
pub async fn main(args: &EnrollArgs) -> ExitCode {
    match run(args).await {
        Ok(identity) => {
            println!(
                "enrolled as {}; the broker is {}",
                identity.device, identity.broker
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(args: &EnrollArgs) -> Result<Identity, EnrollError> {
    let token = read(&args.token)?;
    if clock::wall() > token.expires {
        eprintln!("warning: by this machine's clock, which may be wrong, the token has expired");
    }
    enroll(&token, &args.state).await
}

fn read(argument: &str) -> Result<Token, EnrollError> {
    let Some(path) = argument.strip_prefix('@') else {
        return Ok(argument.parse()?);
    };
    let text = read_file(Path::new(path)).map_err(|because| EnrollError::TokenFile {
        path: path.into(),
        because,
    })?;
    Ok(text.parse()?)
}

fn read_file(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(TOKEN_BYTES_MAX)
        .read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn what_is_no_token_is_said_as_such() {
        let check = |argument: &str, start: &str| {
            let text = read(argument).expect_err("no token").to_string();
            assert!(text.starts_with(start), "{text}");
            assert!(
                text.contains(": because ") && text.contains(": hint: "),
                "{text}"
            );
        };
        check("muster1.00", "failed to read the token: ");
        check("", "failed to read the token: ");
        check(
            "@/does/not/exist",
            "failed to read the token from /does/not/exist: ",
        );
        let mut binary = tempfile::NamedTempFile::new().expect("a file");
        binary.write_all(&[0xff, 0xfe]).expect("the disk takes it");
        let path = binary.path().display();
        check(
            &format!("@{path}"),
            &format!("failed to read the token from {path}: "),
        );
        let error = read(&format!("@{path}")).expect_err("no token");
        assert_eq!(error.exit_code(), crate::error::exit::BAD_INPUT, "{error}");
        assert!(error.to_string().contains("must be UTF-8"), "{error}");
    }
}
