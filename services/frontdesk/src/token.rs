//! `frontdesk token`: mints a token with the development key.

use std::time::Duration;

use clap::ValueEnum;
use frontdesk::{Server, Settings, dev};
use frontdesk_auth::{CallerKind, DevelopmentKey};
use frontdesk_db::AccountId;
use uuid::Uuid;

use crate::Failure;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Kind of the caller.
    #[arg(long, default_value = "admin")]
    kind: TokenKind,
    /// UUID of the account.
    #[arg(long, default_value_t = dev::DEVELOPMENT_ACCOUNT, value_parser = crate::uuid)]
    account: Uuid,
    /// Id of the caller: a UUID for agents and bots, any text for visitors and administrators. Default: a new UUID.
    #[arg(long)]
    subject: Option<String>,
    /// Name of the caller.
    #[arg(long)]
    name: Option<String>,
    /// E-mail address that the token verifies (visitors).
    #[arg(long)]
    email: Option<String>,
    /// How long the token is valid.
    #[arg(long, default_value = "12h", value_parser = crate::duration)]
    valid: Duration,
}

#[derive(Clone, Copy, ValueEnum)]
enum TokenKind {
    /// A visitor with a widget.
    Visitor,
    /// A member of the team.
    Agent,
    /// The account's administrator.
    Admin,
    /// A program that is a bot.
    Bot,
}

pub(crate) fn run(settings: &Settings, arguments: Arguments) -> Result<(), Failure> {
    let kind = match arguments.kind {
        TokenKind::Visitor => CallerKind::Visitor,
        TokenKind::Agent => CallerKind::Agent,
        TokenKind::Admin => CallerKind::Admin,
        TokenKind::Bot => CallerKind::Bot,
    };
    if !settings.identity.accepts_development_key() {
        let message =
            "these settings accept tokens of identity.issuers only, not of the development key that signs here";
        return Err(message.into());
    }
    if let (TokenKind::Agent, Some(subject)) = (arguments.kind, &arguments.subject) {
        subject.parse::<Uuid>().map_err(|_| "--subject must be a UUID for an agent: the agent's id in the roster")?;
    }
    if let (TokenKind::Bot, Some(subject)) = (arguments.kind, &arguments.subject) {
        subject.parse::<Uuid>().map_err(|_| "--subject must be a UUID for a bot: the id that CreateBot returned")?;
    }
    if let Some(email) = &arguments.email
        && frontdesk_mail_address::canonical(email).is_none()
    {
        return Err(format!("--email {email:?} is not an address that mail can go to, such as ada@example.com").into());
    }
    let file = Server::key_file(settings);
    if !file.is_file() {
        let message = format!(
            "there is no development key {}: start the server first, and run this with its settings (data_folder, --config)",
            file.display()
        );
        return Err(message.into());
    }
    let clock = dev::clock(settings)?;
    let key = DevelopmentKey::load_or_create(&file, &clock)?;
    let subject = arguments.subject.unwrap_or_else(|| clock.new_id().to_string());
    let mut claims = key.claims(AccountId(arguments.account), kind, &subject, arguments.valid);
    claims.name = arguments.name;
    claims.email = arguments.email;
    let token = key.mint(&claims)?;
    // Fails here rather than at the server, which would refuse such a token.
    key.verify(&token)?;
    println!("{token}");
    let valid = humantime::format_duration(arguments.valid);
    eprintln!("({} {subject} of account {}, for {valid})", kind.as_str(), arguments.account);
    Ok(())
}
