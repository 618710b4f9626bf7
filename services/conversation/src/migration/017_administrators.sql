-- The administrators who act in conversations, by the subjects of their tokens. An older binary still runs, and shows visitors a message
-- of an administrator as their own: let administrators write when all replicas have this release. `author_id` is the id from which that
-- of an author in a chat is derived, since the subject may be a mail address.
CREATE TABLE administrators (
    account_id UUID NOT NULL,
    subject TEXT NOT NULL,
    author_id UUID NOT NULL,
    name TEXT NOT NULL,
    CONSTRAINT administrators_pk PRIMARY KEY (account_id, subject)
);
{row_level_security administrators}
