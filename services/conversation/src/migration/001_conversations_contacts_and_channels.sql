-- The first tables; there is no older binary. Times are microseconds since 1970 UTC.
CREATE TABLE channels (
    id UUID NOT NULL CONSTRAINT channels_pk PRIMARY KEY,
    account_id UUID NOT NULL,
    name TEXT NOT NULL,
    website_url TEXT NOT NULL,
    greeter TEXT NOT NULL,
    bot_id UUID,
    transcript_enabled BOOLEAN NOT NULL,
    transcript_sender_id UUID,
    time_zone TEXT NOT NULL,
    deleted BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX channels_by_name ON channels (account_id, name, id);

-- Local copy of the bots, which belong to another service: which bot a channel may name, and what a session starts with.
CREATE TABLE bots (
    account_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    timeout_us BIGINT,
    deleted BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT bots_pk PRIMARY KEY (account_id, id)
);

-- Local copy of the agents, which belong to another service. Version 0: the name comes from a call, before
-- the roster's answer or event.
CREATE TABLE agents (
    account_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    active BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT agents_pk PRIMARY KEY (account_id, id)
);

CREATE TABLE contacts (
    id UUID NOT NULL CONSTRAINT contacts_pk PRIMARY KEY,
    account_id UUID NOT NULL,
    name TEXT NOT NULL,
    phone TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    properties TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX contacts_newest ON contacts (account_id, created_at, id);

-- An address belongs to one contact of an account.
CREATE TABLE contact_emails (
    account_id UUID NOT NULL,
    address TEXT NOT NULL,
    contact_id UUID NOT NULL,
    verified BOOLEAN NOT NULL,
    added_at BIGINT NOT NULL,
    CONSTRAINT contact_emails_pk PRIMARY KEY (account_id, address)
);
CREATE INDEX contact_emails_of ON contact_emails (account_id, contact_id);

-- The contact that a visitor is linked to, and the address that their token vouched for or that they typed. OWN: the contact is
-- theirs, by a signed token, by an agent, or because it was created for them. TYPED: they typed an address that the contact
-- has, which proves nothing and lets them change nothing.
CREATE TABLE visitors (
    account_id UUID NOT NULL,
    id TEXT NOT NULL,
    contact_id UUID NOT NULL,
    link TEXT NOT NULL,
    address TEXT,
    CONSTRAINT visitors_pk PRIMARY KEY (account_id, id)
);

-- The arbiter: everything that two services may race for is in this one row.
CREATE TABLE conversations (
    id UUID NOT NULL CONSTRAINT conversations_pk PRIMARY KEY,
    account_id UUID NOT NULL,
    channel_id UUID NOT NULL,
    visitor_id TEXT NOT NULL,
    contact_id UUID,
    status TEXT NOT NULL,
    page_url TEXT NOT NULL,
    page_title TEXT NOT NULL,
    previous_id UUID,
    assignee_kind TEXT,
    assignee_id UUID,
    epoch BIGINT NOT NULL,
    bot_id UUID,
    bot_session_id UUID,
    bot_in_charge BOOLEAN NOT NULL,
    bot_timeout_us BIGINT,
    bot_started_at BIGINT,
    had_agent BOOLEAN NOT NULL,
    last_sequence BIGINT NOT NULL,
    last_visitor_sequence BIGINT NOT NULL,
    close_number INTEGER NOT NULL,
    close_reason TEXT,
    closed_at BIGINT,
    created_at BIGINT NOT NULL,
    last_visitor_activity_at BIGINT NOT NULL,
    last_activity_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT conversations_assignee CHECK ((assignee_kind IS NULL) = (assignee_id IS NULL)),
    CONSTRAINT conversations_in_charge CHECK (NOT bot_in_charge OR (bot_session_id IS NOT NULL AND status = 'OPEN'))
);
-- At most one open conversation of a visitor on a channel (rule C2a).
CREATE UNIQUE INDEX conversations_one_open ON conversations (account_id, channel_id, visitor_id) WHERE status = 'OPEN';
CREATE INDEX conversations_inbox ON conversations (account_id, last_activity_at, id);
CREATE INDEX conversations_inbox_status ON conversations (account_id, status, last_activity_at, id);
CREATE INDEX conversations_inbox_assignee ON conversations (account_id, assignee_id, last_activity_at, id);
CREATE INDEX conversations_of_visitor ON conversations (account_id, visitor_id, created_at);
CREATE INDEX conversations_of_contact ON conversations (account_id, contact_id, last_activity_at);

-- The thread; both numbers are dense (rule C3).
CREATE TABLE entries (
    conversation_id UUID NOT NULL,
    sequence BIGINT NOT NULL,
    visitor_sequence BIGINT,
    account_id UUID NOT NULL,
    author_kind TEXT NOT NULL,
    author_id TEXT NOT NULL,
    content TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT entries_pk PRIMARY KEY (conversation_id, sequence)
);
CREATE UNIQUE INDEX entries_visitor_sequence ON entries (conversation_id, visitor_sequence) WHERE visitor_sequence IS NOT NULL;

-- The facts at each close that decide its transcript (rule T2). The address stays here, where an erasure finds it.
CREATE TABLE closes (
    conversation_id UUID NOT NULL,
    close_number INTEGER NOT NULL,
    account_id UUID NOT NULL,
    contact_id UUID,
    recipient TEXT,
    recipient_verified BOOLEAN NOT NULL,
    had_bot_session BOOLEAN NOT NULL,
    had_agent BOOLEAN NOT NULL,
    had_ticket BOOLEAN NOT NULL,
    transcript_enabled BOOLEAN NOT NULL,
    sender_id UUID,
    last_sequence BIGINT NOT NULL,
    CONSTRAINT closes_pk PRIMARY KEY (conversation_id, close_number)
);

CREATE TABLE tickets (
    id UUID NOT NULL CONSTRAINT tickets_pk PRIMARY KEY,
    account_id UUID NOT NULL,
    conversation_id UUID NOT NULL,
    contact_id UUID NOT NULL,
    subject TEXT NOT NULL,
    status TEXT NOT NULL,
    url TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX tickets_newest ON tickets (account_id, created_at, id);
CREATE INDEX tickets_of_contact ON tickets (account_id, contact_id);
CREATE INDEX tickets_of_conversation ON tickets (account_id, conversation_id);
