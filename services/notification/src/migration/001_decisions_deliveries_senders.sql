-- Creates the tables; there is no older binary.
CREATE TABLE transcript_decisions (
    id UUID NOT NULL,
    account_id UUID NOT NULL,
    conversation_id UUID NOT NULL,
    close_number INTEGER NOT NULL,
    skip_reason TEXT,
    delivery_id UUID,
    channel_id UUID,
    contact_id UUID,
    sender_id UUID,
    last_sequence BIGINT NOT NULL,
    had_bot_session BOOLEAN NOT NULL,
    had_agent BOOLEAN NOT NULL,
    had_ticket BOOLEAN NOT NULL,
    address_usable BOOLEAN NOT NULL,
    address_verified BOOLEAN NOT NULL,
    transcript_enabled BOOLEAN NOT NULL,
    closed_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT transcript_decisions_pk PRIMARY KEY (id),
    CONSTRAINT transcript_decisions_once UNIQUE (account_id, conversation_id, close_number),
    CONSTRAINT transcript_decisions_sent_or_skipped CHECK ((skip_reason IS NULL) <> (delivery_id IS NULL))
);
CREATE INDEX transcript_decisions_newest ON transcript_decisions (account_id, created_at, id);

CREATE TABLE deliveries (
    id UUID NOT NULL,
    account_id UUID NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    conversation_id UUID,
    close_number INTEGER NOT NULL,
    contact_id UUID,
    sender_id UUID,
    sender_from_channel BOOLEAN NOT NULL,
    until_sequence BIGINT NOT NULL,
    unverified BOOLEAN NOT NULL,
    requested_by TEXT NOT NULL,
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    mail_from TEXT NOT NULL,
    message_id TEXT NOT NULL,
    composed_at BIGINT,
    compose_failures INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    attempts_before_retry INTEGER NOT NULL,
    unknown_outcomes INTEGER NOT NULL,
    last_response TEXT NOT NULL,
    failure TEXT NOT NULL,
    claim BIGINT NOT NULL,
    leased BOOLEAN NOT NULL,
    due_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    sent_at BIGINT,
    traceparent TEXT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT deliveries_pk PRIMARY KEY (id)
);
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE state IN ('QUEUED', 'SENDING');
CREATE INDEX deliveries_newest ON deliveries (account_id, created_at, id);
CREATE INDEX deliveries_of_conversation ON deliveries (conversation_id, created_at, id);
CREATE INDEX deliveries_of_contact ON deliveries (account_id, contact_id, created_at);
CREATE INDEX deliveries_to_recipient ON deliveries (account_id, lower(recipient), created_at);

CREATE TABLE delivery_mails (
    delivery_id UUID NOT NULL,
    account_id UUID NOT NULL,
    mail {bytes} NOT NULL,
    CONSTRAINT delivery_mails_pk PRIMARY KEY (delivery_id),
    CONSTRAINT delivery_mails_delivery FOREIGN KEY (delivery_id) REFERENCES deliveries (id)
);

CREATE TABLE senders (
    id UUID NOT NULL,
    account_id UUID NOT NULL,
    address TEXT NOT NULL,
    display_name TEXT NOT NULL,
    verified BOOLEAN NOT NULL,
    fallback BOOLEAN NOT NULL,
    code_hash {bytes},
    code_expires_at BIGINT NOT NULL,
    code_tries INTEGER NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT,
    version BIGINT NOT NULL,
    CONSTRAINT senders_pk PRIMARY KEY (id)
);
CREATE UNIQUE INDEX senders_address ON senders (account_id, lower(address)) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX senders_one_fallback ON senders (account_id) WHERE fallback;

CREATE TABLE mail_accounts (
    account_id UUID NOT NULL,
    CONSTRAINT mail_accounts_pk PRIMARY KEY (account_id)
)
