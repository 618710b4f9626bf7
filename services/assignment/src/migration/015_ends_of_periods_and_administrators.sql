-- The history of owners (rule A8): the closes that end periods, and the names of administrators who change owners. The older binary still runs:
-- it records neither, and shows a period without the close that ended it.
CREATE TABLE assignment_closes (
    account_id UUID NOT NULL,
    conversation_id UUID NOT NULL,
    epoch BIGINT NOT NULL,
    closed_at BIGINT NOT NULL,
    CONSTRAINT assignment_closes_pk PRIMARY KEY (account_id, conversation_id, epoch)
);
{row_level_security assignment_closes}

-- The newest name in the tokens of an administrator, by the subject of the token.
CREATE TABLE administrators (
    account_id UUID NOT NULL,
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    CONSTRAINT administrators_pk PRIMARY KEY (account_id, subject)
);
{row_level_security administrators}
