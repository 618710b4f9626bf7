-- Each change of a delivery writes into fewer indexes: those that few queries of few rows need have only these rows. An older binary still runs;
-- its ReportBounce with a Message-ID reads all deliveries of the account. The delivery of a Message-ID is found by the id in it. Transcripts of an
-- hour are counted among all deliveries of the account, and those to unverified addresses by an index of their own.
DROP INDEX deliveries_of_message_id;
DROP INDEX deliveries_of_kind;
CREATE INDEX deliveries_of_kind ON deliveries (account_id, kind, created_at) WHERE kind <> 'TRANSCRIPT';
CREATE INDEX deliveries_unverified ON deliveries (account_id, created_at) WHERE unverified;
DROP INDEX deliveries_of_conversation;
CREATE INDEX deliveries_of_conversation ON deliveries (conversation_id, created_at, id) WHERE conversation_id IS NOT NULL;
DROP INDEX deliveries_of_contact;
CREATE INDEX deliveries_of_contact ON deliveries (account_id, contact_id, created_at) WHERE contact_id IS NOT NULL
