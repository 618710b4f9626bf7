-- Visitors have names of their own, contacts know who made them, and addresses of tokens that mail cannot go to are kept with the
-- chat. An older binary still runs and stores none of them; what it links keeps the names of contacts.
ALTER TABLE visitors ADD COLUMN name TEXT NOT NULL DEFAULT '';
-- The names of all visitors of a contact, and the visitors that follow an address.
CREATE INDEX visitors_of_contact ON visitors (account_id, contact_id);

-- True: an answer or a token made the contact, and the team has not used it since. Such a contact is removed when no visitor,
-- conversation, address or ticket is left of it.
ALTER TABLE contacts ADD COLUMN made_by_visitor BOOLEAN NOT NULL DEFAULT FALSE;

-- False: the ticket was made in the conversation of a visitor who only typed the contact's address, and counts there alone.
ALTER TABLE tickets ADD COLUMN of_contact BOOLEAN NOT NULL DEFAULT TRUE;
UPDATE tickets SET of_contact = FALSE
WHERE EXISTS (
    SELECT 1
    FROM conversations
    JOIN visitors ON visitors.account_id = conversations.account_id AND visitors.id = conversations.visitor_id
    WHERE conversations.id = tickets.conversation_id AND visitors.link = 'TYPED'
);

-- The address of the visitor's token when mail cannot go to it. Empty: there is none such.
ALTER TABLE conversations ADD COLUMN unusable_token_email TEXT NOT NULL DEFAULT '';
ALTER TABLE closes ADD COLUMN token_email_unusable BOOLEAN NOT NULL DEFAULT FALSE;
