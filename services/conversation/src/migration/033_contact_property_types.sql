-- Types of the properties of an account's contacts, a JSON object of type by property; an older binary still runs, keeps them and does not
-- check values.
ALTER TABLE account_settings ADD COLUMN contact_property_types TEXT NOT NULL DEFAULT '{}';
