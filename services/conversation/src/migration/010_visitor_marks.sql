-- How far the widget has received each chat, and the visitor has seen it, by visitor sequences; an older binary still runs and does
-- not use it. No row: nothing.
CREATE TABLE visitor_marks (
    conversation_id UUID NOT NULL CONSTRAINT visitor_marks_pk PRIMARY KEY,
    account_id UUID NOT NULL,
    delivered BIGINT NOT NULL,
    read BIGINT NOT NULL
);
{row_level_security visitor_marks}
